import resource
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from rockmonai.errors import OutputError
from rockmonai.volumes import create_volume, open_volume

SPACING = (3.0, 2.5, 1.25)
VOLUME_FORMATS = [".ome.zarr", ".zarr", ".tif", ".tiff", ".h5", ".nii", ".nii.gz", ".nrrd", ".mha", ".npy", ".raw"]


def rock(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return (np.random.default_rng(0).random(shape) * 200).astype(dtype)


@pytest.mark.parametrize("spacing", [SPACING, None])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4", "f8"])
@pytest.mark.parametrize("suffix", VOLUME_FORMATS)
def test_volumes_round_trip(tmp_path: Path, suffix: str, dtype: str, spacing: tuple[float, ...] | None) -> None:
    array = rock((1, 5, 6, 70), dtype)
    with create_volume(tmp_path / f"rock{suffix}", array.shape, dtype, spacing) as volume:
        volume[:, 2:] = array[:, 2:]
        volume[:, :2, :, :33] = array[:, :2, :, :33]
        volume[0, :2, :, 33:] = array[0, :2, :, 33:]
    back = open_volume(tmp_path / f"rock{suffix}")
    assert (back.shape, back.dtype) == (array.shape, np.dtype(dtype))
    assert back.spacing == (spacing and pytest.approx(spacing, rel=1e-6))
    assert np.array_equal(back.read(), array)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("shape", [(2, 5, 6, 7), (3, 6, 7), (1, 6, 7)], ids=str)
@pytest.mark.parametrize("suffix", [".ome.zarr", ".tif", ".h5", ".npy", ".raw"])
def test_channels_and_images_round_trip(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    array, spacing = rock(shape, "u2"), SPACING[-(len(shape) - 1) :]
    with create_volume(tmp_path / f"rock{suffix}", shape, "u2", spacing) as volume:
        volume[1:] = array[1:]
        volume[0] = array[0]
    back = open_volume(tmp_path / f"rock{suffix}")
    assert (back.shape, back.spacing) == (shape, spacing)
    assert np.array_equal(back.read(), array)


def test_channels_of_a_nifti_volume_round_trip(tmp_path: Path) -> None:
    array = rock((2, 5, 6, 7), "f4")
    with create_volume(tmp_path / "rock.nii", array.shape, "f4", SPACING) as volume:
        volume[...] = array
    assert np.array_equal(open_volume(tmp_path / "rock.nii").read(), array)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_slices_round_trip_as_png(tmp_path: Path, dtype: str) -> None:
    array = rock((1, 6, 7), dtype)
    with create_volume(tmp_path / "rock.png", array.shape, dtype, (2.5, 1.25)) as volume:
        volume[...] = array
    back = open_volume(tmp_path / "rock.png")
    assert back.spacing == pytest.approx((2.5, 1.25), rel=1e-5)  # whole pixels per metre
    assert np.array_equal(back.read(), array)


def test_tensors_and_masks_are_taken(tmp_path: Path) -> None:
    mask = torch.arange(30).reshape(1, 5, 6) % 2 == 0
    with create_volume(tmp_path / "mask.tif", mask.shape, bool) as volume:
        volume[...] = mask
    assert np.array_equal(open_volume(tmp_path / "mask.tif").read(), mask.numpy().astype(np.uint8))


@pytest.mark.parametrize("suffix", [".tif", ".ome.zarr", ".h5", ".nii.gz"])
def test_the_same_volume_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    contents = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        with create_volume(folder / f"rock{suffix}", (1, 5, 6, 7), "u1", SPACING) as volume:
            volume[...] = rock((1, 5, 6, 7), "u1")
        contents.append({f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()})
    assert contents[0] == contents[1]


@pytest.mark.parametrize("suffix", VOLUME_FORMATS)
def test_an_exception_leaves_the_target_untouched(tmp_path: Path, suffix: str) -> None:
    path, array = tmp_path / f"rock{suffix}", rock((1, 5, 6, 7), "u1")
    with create_volume(path, array.shape, "u1") as volume:
        volume[...] = array
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt), create_volume(path, array.shape, "u1", overwrite=True) as volume:
        volume[...] = array + 1
        raise KeyboardInterrupt
    assert sorted(tmp_path.rglob("*")) == before
    assert np.array_equal(open_volume(path).read(), array)


@pytest.mark.parametrize("suffix", VOLUME_FORMATS)
def test_overwriting_must_be_asked_for(tmp_path: Path, suffix: str) -> None:
    path, array = tmp_path / f"rock{suffix}", rock((1, 5, 6, 7), "u1")
    for overwrite in (False, True):
        with create_volume(path, array.shape, "u1", SPACING, overwrite=overwrite) as volume:
            volume[...] = array + overwrite
    assert np.array_equal(open_volume(path).read(), array + 1)
    with pytest.raises(OutputError, match=f"rock{suffix} exists"):
        create_volume(path, array.shape, "u1")


def test_nothing_has_the_final_name_before_the_end(tmp_path: Path) -> None:
    with create_volume(tmp_path / "rock.tif", (1, 6, 7), "u1"):
        assert not (tmp_path / "rock.tif").exists()
    assert (tmp_path / "rock.tif").exists()


def test_a_missing_folder_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the folder .*nowhere does not exist"):
        create_volume(tmp_path / "nowhere" / "rock.tif", (1, 6, 7), "u1")


def test_a_forbidden_folder_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(self: Path, *args: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", forbid)  # a real one would not stop root
    with pytest.raises(OutputError, match="permission denied: choose a folder"):
        create_volume(tmp_path / "rock.tif", (1, 6, 7), "u1")


@pytest.mark.parametrize("suffix", VOLUME_FORMATS)
def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 64)).astype(np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with (
            pytest.raises(OutputError, match="the disk is full while writing"),
            create_volume(tmp_path / f"rock{suffix}", array.shape, "u1") as volume,
        ):
            volume[...] = array
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_values_that_would_be_cut_are_refused(tmp_path: Path) -> None:
    with (
        create_volume(tmp_path / "rock.tif", (1, 6, 7), "u1") as volume,
        pytest.raises(OutputError, match="holds uint8 and was given float32: convert"),
    ):
        volume[...] = np.ones((1, 6, 7), np.float32)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "message"),
    [
        ("rock.xyz", (1, 6, 7), "u1", "suffix is unknown: use one of .zarr"),
        ("rock.png", (1, 5, 6, 7), "u1", "PNG takes one slice"),
        ("rock.png", (1, 6, 7), "f4", "PNG takes one slice"),
        ("rock.nii", (2, 6, 7), "u1", "takes the channels of a 2D image for slices"),
        ("rock.mha", (2, 5, 6, 7), "u1", "takes one channel"),
        ("rock.nii", (1, 5, 6, 7), "f2", "cannot hold"),
        ("rock.tif", (6, 7), "u1", r"is \(C, Z, Y, X\) or \(C, Y, X\)"),
    ],
)
def test_what_a_format_cannot_hold_is_told_at_once(
    tmp_path: Path, name: str, shape: tuple[int, ...], dtype: str, message: str
) -> None:
    with pytest.raises(OutputError, match=message):
        create_volume(tmp_path / name, shape, dtype)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(3, 20, 30), (3, 4, 20, 30)], ids=["image", "volume"])
def test_other_programs_see_colours(tmp_path: Path, shape: tuple[int, ...]) -> None:
    data = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    interleaved = np.moveaxis(data, 0, -1)
    for suffix in (".tif", ".png")[: 5 - len(shape)]:
        path = tmp_path / f"rock{suffix}"
        with create_volume(path, shape, "u1", (2.0,) * (len(shape) - 1), colour=True) as volume:
            volume[:, 9:] = data[:, 9:]
            volume[:, :9] = data[:, :9]
        picture = Image.open(path)
        picture.seek(getattr(picture, "n_frames", 1) - 1)
        assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), interleaved.reshape(-1, 20, 30, 3)[-1])
        back = open_volume(path, grey="keep")
        assert back.spacing == pytest.approx((2.0,) * (len(shape) - 1), rel=1e-4)
        assert np.array_equal(back.read(), data)
    with tifffile.TiffFile(tmp_path / "rock.tif") as file:
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.RGB and file.pages[0].shape == (20, 30, 3)
        assert np.array_equal(file.asarray(), interleaved)


def test_three_channels_are_no_colours_unless_said(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 256, (3, 20, 30), dtype=np.uint8)
    with create_volume(tmp_path / "rock.tif", data.shape, "u1") as volume:
        volume[:] = data
    assert np.array_equal(open_volume(tmp_path / "rock.tif").read(), data)
    with pytest.raises(OutputError, match="PNG takes one slice"):
        create_volume(tmp_path / "rock.png", data.shape, "u1")


@pytest.mark.parametrize(("shape", "dtype"), [((1, 4, 5), "u1"), ((3, 4, 5), "u2")])
def test_colours_are_three_channels_of_bytes(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(OutputError, match="colours are three channels of uint8"):
        create_volume(tmp_path / "rock.tif", shape, dtype, colour=True)
