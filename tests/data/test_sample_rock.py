from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.filters import gaussian
from skimage.transform import downscale_local_mean

from rockmonai.data.grain_pack import random_field
from rockmonai.data.synthetic import sandstone, shale
from rockmonai.data.synthetic_scan import degrade, electron_microscope, xray_microscope
from rockmonai.errors import OutputError, UsageError
from rockmonai.volumes import open_volume

# The package exports a function of the module's name, so the module is fetched by its path.
module = importlib.import_module("rockmonai.data.sample_rock")
MODALITIES = {"image", "label", "semantic", "txm", "sem", "charge", "lowdensity", "highdensity"}


@pytest.fixture(autouse=True)
def small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer and smaller images, so that a set takes a fraction of a second."""
    small = {
        dims: {"train": (2, size), "validation": (1, size), "test": (1, size)} for dims, size in ((2, 96), (3, 48))
    }
    monkeypatch.setattr(module, "_SPLITS", small)
    monkeypatch.setattr(module, "_SHALE_SHAPE", {2: (96, 128), 3: (24, 24, 24)})


def contents(folder: str) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*.tif"))}


def autocovariance(field: np.ndarray) -> np.ndarray:
    """Periodic autocovariance along the last axis, by the Wiener-Khinchin theorem, over the variance."""
    centred = field - field.mean()
    spectrum = np.abs(np.fft.fftn(centred)) ** 2
    covariance = np.fft.ifftn(spectrum).real
    return covariance.reshape(-1, field.shape[-1])[0] / covariance.flat[0]


@pytest.mark.parametrize("make", [module.sample_rock, module.sample_shale])
def test_a_seed_fixes_every_byte_and_another_seed_changes_every_grey_image(make: Callable, tmp_path: Path) -> None:
    first = contents(make(seed=0, directory=str(tmp_path / "a")))
    again = contents(make(seed=0, directory=str(tmp_path / "b")))
    other = contents(make(seed=1, directory=str(tmp_path / "a")))
    assert first == again
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)
    assert len(set(first.values())) == len(first)


@pytest.mark.parametrize(("spatial_dims", "scale"), [(2, 1), (2, 3), (2, 4), (2, 5), (3, 2)])
def test_every_modality_has_the_same_names_and_the_size_of_the_label(
    spatial_dims: int, scale: int, tmp_path: Path
) -> None:
    folder = Path(module.sample_rock(spatial_dims, scale, directory=str(tmp_path)))
    assert {p.name for p in folder.iterdir()} == {"train", "validation", "test"}
    for split in folder.iterdir():
        names = [p.name for p in sorted((split / "label").iterdir())]
        assert {p.name for p in split.iterdir()} == MODALITIES
        for modality in split.iterdir():
            assert [p.name for p in sorted(modality.iterdir())] == names
            for name in names:
                pixels, label = tifffile.imread(modality / name), tifffile.imread(split / "label" / name)
                factor = scale if modality.name == "image" else 1
                assert pixels.dtype == np.uint8
                assert pixels.ndim == spatial_dims
                assert tuple(n * factor for n in pixels.shape) == label.shape


def test_a_fast_scan_is_noisier_and_nothing_else_changes(tmp_path: Path) -> None:
    slow, fast = (contents(module.sample_rock(2, 1, directory=str(tmp_path), fast=fast)) for fast in (False, True))
    assert {name for name in slow if slow[name] != fast[name]} == {name for name in slow if "/image/" in name}
    # Neighbours of one phase differ by their noise, normally distributed with sqrt(2) sigma, whose median is known.
    kind = f"sample_rock-v{module._VERSION}-2d-x1-fast-seed0"
    image = tifffile.imread(tmp_path / kind / "train" / "image" / "rock_000.tif") / 255
    assert np.median(np.abs(np.diff(image))) / 0.6745 / 2**0.5 == pytest.approx(0.1, rel=0.1)


def test_the_default_sizes_are_divisible_by_the_usual_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert all(size % scale == 0 for _, size in module._SPLITS[2].values() for scale in (2, 3, 4, 8))
    assert all(size % scale == 0 for _, size in module._SPLITS[3].values() for scale in (2, 4, 8))


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_other_programs_read_the_spacing(spatial_dims: int, tmp_path: Path) -> None:
    folder = Path(module.sample_rock(spatial_dims, 3, directory=str(tmp_path)))
    for modality, micrometres in (("label", 2.0), ("image", 6.0), ("charge", 2.0)):
        with tifffile.TiffFile(folder / "train" / modality / "rock_000.tif") as tiff:
            pixels, length = tiff.pages.first.tags["XResolution"].value
            assert length / pixels == pytest.approx(micrometres, rel=1e-6)
            assert tiff.imagej_metadata is not None
            assert tiff.imagej_metadata["unit"] == "um"
            assert tiff.imagej_metadata["spacing"] == micrometres
            assert tiff.series[0].axes == "ZYX"[-spatial_dims:]


@pytest.mark.parametrize("shape", [(192, 192), (64, 64, 64)])
def test_a_sandstone_has_the_shares_of_its_classes(shape: tuple[int, ...]) -> None:
    for seed in range(4):
        rock = sandstone(shape, seed, grain_size=24)
        pore, grain, clay, bright = np.bincount(rock["semantic"].ravel(), minlength=4) / rock["semantic"].size
        assert 0.15 <= pore <= 0.22
        assert 0.03 <= clay <= 0.15
        assert 0.0005 <= bright <= 0.08
        assert 0.6 <= grain <= 0.8
        pore_grey, grain_grey, clay_grey, bright_grey = (rock["grey"][rock["semantic"] == i].mean() for i in range(4))
        assert 0 < pore_grey + 0.1 < clay_grey < grain_grey - 0.05
        assert grain_grey + 0.1 < bright_grey <= 1


@pytest.mark.parametrize("shape", [(128, 160), (48, 48, 48)])
def test_a_shale_has_its_imbalanced_shares(shape: tuple[int, ...]) -> None:
    rock = shale(shape, 0)
    shares = np.bincount(rock["semantic"].ravel()) / rock["semantic"].size
    np.testing.assert_allclose(shares, [0.82, 0.11, 0.03, 0.04], atol=2e-3)
    mineral, organic, pore, _ = (rock["grey"][rock["semantic"] == i].mean() for i in range(4))
    assert pore + 0.1 < organic < mineral - 0.1


@pytest.mark.parametrize(("spatial_dims", "count"), [(2, (4, 2)), (3, (3, 1))])
def test_a_shale_comes_as_images_and_labels_of_class_numbers(
    spatial_dims: int, count: tuple[int, int], tmp_path: Path
) -> None:
    folder = Path(module.sample_shale(spatial_dims, directory=str(tmp_path)))
    assert folder.name == f"sample_shale-v1-{spatial_dims}d-seed0"
    for split, number in zip(("train", "test"), count, strict=True):
        for kind, classes in (("images", 0), ("labels", 4)):
            files = sorted((folder / split / kind).iterdir())
            assert [file.name for file in files] == [f"{n}.tif" for n in range(1, number + 1)]
            for pixels in map(tifffile.imread, files):
                assert (pixels.shape, pixels.dtype) == (module._SHALE_SHAPE[spatial_dims], np.uint8)
                assert not classes or set(np.unique(pixels)) == set(range(classes))
            assert open_volume(files[0]).spacing == pytest.approx((0.01,) * spatial_dims)


def test_a_random_field_has_the_matern_correlation() -> None:
    rng = np.random.default_rng(0)
    measured = np.mean([autocovariance(random_field((256, 256), rng, 4.0)) for _ in range(40)], axis=0)
    lag = np.arange(1, 40) / 4.0
    # 0.005 is the price of removing the mean of a finite image, the rest is sampling error.
    np.testing.assert_allclose(measured[1:40], (1 + lag) * np.exp(-lag), atol=0.015)


def test_pores_decorrelate_over_a_grain_and_scale_with_it() -> None:
    def decay(grain_size: float) -> float:
        """Lag at which the two-point covariance of the pores falls to 1/e, in pixels."""
        rocks = [sandstone((256, 256), seed, grain_size)["semantic"] == 0 for seed in range(6)]
        covariance = np.mean([autocovariance(rock.astype(float)) for rock in rocks], axis=0)
        assert np.abs(covariance[round(1.5 * grain_size) : 4 * round(grain_size)]).max() < 0.15
        return float(np.interp(-np.exp(-1), -covariance[: round(grain_size)], np.arange(round(grain_size))))

    assert 16 / 10 < decay(16) < 16 / 2
    # A rock of twice the grain size is the same rock enlarged: so is every length in it.
    assert decay(32) / decay(16) == pytest.approx(2, rel=0.25)


@pytest.mark.parametrize("shape", [(192, 192), (64, 64, 64)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_low_resolution_pixel_is_the_area_mean_of_the_blurred_rock(shape: tuple[int, ...], scale: int) -> None:
    grey = sandstone(shape, 0)["grey"]
    image = degrade(grey, scale, np.random.default_rng(0))
    expected = downscale_local_mean(gaussian(grey, 0.5 * scale, mode="reflect"), (scale,) * grey.ndim)
    residual = image - expected
    assert residual.mean() == pytest.approx(0, abs=5 * 0.02 / residual.size**0.5)
    assert residual.std() == pytest.approx(0.02, rel=0.1)


def test_the_second_modality_loses_contrast_and_charges_in_few_pixels() -> None:
    rock = sandstone((192, 192), 0)
    rng = np.random.default_rng(0)
    txm = xray_microscope(rock["grey"], rng)
    sem, charge = electron_microscope(rock["grey"], rock["semantic"], rng)
    assert charge.mean() == pytest.approx(0.03, abs=0.002)
    assert sem[charge].mean() > 0.8 > sem[~charge].mean() + 0.2
    assert txm.std() < 0.5 * rock["grey"].std() < 0.5 * sem[~charge].std()


def test_a_second_call_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = module.sample_rock(directory=str(tmp_path))
    assert capsys.readouterr().out == f"making the sample rock (2D, x4) in {folder}\n"
    assert module.sample_rock(directory=str(tmp_path)) == folder
    assert capsys.readouterr().out == ""


def test_two_calls_at_once_leave_one_complete_set(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        folders = set(pool.map(lambda _: module.sample_rock(directory=str(tmp_path)), range(2)))
    alone = module.sample_rock(directory=str(tmp_path / "alone"))
    assert [contents(folder) for folder in folders] == [contents(alone)]
    assert {p.name for p in tmp_path.iterdir()} == {Path(alone).name, "alone"}


def test_an_interrupted_call_leaves_nothing_and_the_next_one_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def interrupted(path: Path, *_: object) -> None:
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "_write", interrupted)
        module.sample_rock(directory=str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert len(contents(module.sample_rock(directory=str(tmp_path)))) == 4 * len(MODALITIES)


def test_the_cache_folder_is_taken_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROCKMONAI_CACHE", str(tmp_path / "cache"))
    assert Path(module.sample_rock()).parent == tmp_path / "cache"
    monkeypatch.delenv("ROCKMONAI_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Path(module.sample_rock()).parent == tmp_path / ".cache" / "rockmonai"


def test_a_cache_that_cannot_be_written_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ROCKMONAI_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OutputError, match="set ROCKMONAI_CACHE"):
        module.sample_rock()


@pytest.mark.parametrize("wrong", [{"spatial_dims": 4}, {"scale": 0}, {"scale": 2.0}, {"seed": -1}])
def test_a_wrong_argument_is_named(wrong: dict[str, float], tmp_path: Path) -> None:
    makers = [module.sample_rock] + [module.sample_shale] * ("scale" not in wrong)
    for make in makers:
        with pytest.raises(UsageError, match=str(next(iter(wrong.values())))):
            make(**wrong, directory=str(tmp_path))
