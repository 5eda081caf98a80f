"""The overlay original_protocol.json: the windows, the figures and the folder of results of the TXM2SEM code."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tests.bundles.runs import BUNDLES, tiny_network, train, workflow, write_small_set

NAMES = ["feedforward", "pix2pix", "srcnn", "srgan"]
FOLDERS = ["charge", "highdensity", "lowdensity", "sem", "sem_fake", "txm"]


def greys(path):
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module", params=NAMES)
def evaluated(request, tmp_path_factory):
    """The results of two evaluations in one folder, of which the second replaces the first."""
    folder = tmp_path_factory.mktemp(request.param)
    # A data set of this kind has the masks, whichever bundle reads it.
    dataset = write_small_set(folder / "set", "feedforward")
    coarser = {"scale": 2, "degradation": "nearest"} if "scale" in tiny_network(request.param) else {}
    names = {"folders": {"image": "txm", "label": "sem"}}
    train(request.param, dataset, folder / "run", epochs=1, **coarser, **names)
    files = {"dataset_dir": str(dataset), "ckpt_dir": str(folder / "run"), "output_dir": str(folder / "results")}
    small = tiny_network(request.param) | {"patch_size": 24, "val_patches": 5}
    for overwrite, windows in ((False, 7), (True, 5)):
        override = small | files | {"overwrite": overwrite, "val_patches": windows}
        workflow(request.param, ["evaluate", "original_protocol"], "infer", **override).run()
    return request.param, dataset, folder / "results"


def test_leaves_the_folders_of_the_original(evaluated):
    _, _, results = evaluated
    folders = [path.name for path in results.iterdir() if path.is_dir() and path.name not in ("previews", "examples")]
    assert sorted(folders) == FOLDERS
    for name in FOLDERS:
        assert sorted(path.name for path in (results / name).iterdir()) == [f"{n:03d}.png" for n in range(5)]
    masks = [greys(path) for name in ("charge", "lowdensity", "highdensity") for path in (results / name).iterdir()]
    assert set(np.unique(masks)) == {0, 255}
    assert all(greys(path).shape == (24, 24) for name in FOLDERS[:-1] for path in (results / name).iterdir())


def test_figures_are_those_of_the_saved_pictures(evaluated):
    _, _, results = evaluated
    pairs = [(greys(results / "sem" / f"{n:03d}.png"), greys(results / "sem_fake" / f"{n:03d}.png")) for n in range(5)]
    psnr = [peak_signal_noise_ratio(sem, fake, data_range=255) for sem, fake in pairs]
    ssim = [structural_similarity(sem, fake, data_range=255) for sem, fake in pairs]
    found = json.loads((results / "scores.json").read_text())
    assert found["images"] == 5 and found["data_range"] == 255
    for name, values in (("psnr", psnr), ("ssim", ssim)):
        assert found["metrics"][name]["mean"] == pytest.approx(np.mean(values), abs=1e-4)
        assert found["metrics"][name]["sem"] == pytest.approx(np.std(values, ddof=1) / 5**0.5, abs=1e-4)
    first, second = (results / "eval_metrics.txt").read_text().splitlines()
    assert first.startswith("test, 7 images: PSNR ")
    assert second.startswith(f"test, 5 images: PSNR {np.mean(psnr):.4g} ± {np.std(psnr, ddof=1) / 5**0.5:.2g} (")


def test_windows_are_whole_pieces_of_the_slices_with_few_charged_pixels(evaluated):
    bundle, dataset, results = evaluated
    slices = [greys(path).astype(int) for path in (dataset / "test" / "sem").iterdir()]
    for number in range(5):
        window = greys(results / "sem" / f"{number:03d}.png")
        # A byte that was scaled to [-1, 1] and cut off again may come back as the next lower one.
        assert any(
            ((whole[y : y + 24, x : x + 24] - window) // 2 == 0).all()
            for whole in slices
            for y in range(25)
            for x in range(25)
        )
        assert (greys(results / "charge" / f"{number:03d}.png") == 0).mean() >= 0.95
        txm = greys(results / "txm" / f"{number:03d}.png")
        assert txm.shape == ((12, 12) if bundle.startswith("sr") else (24, 24))


def test_bundles_of_one_kind_share_one_overlay():
    text = {name: (BUNDLES / name / "configs" / "original_protocol.json").read_text() for name in NAMES}
    assert text["feedforward"] == text["pix2pix"] and text["srgan"] == text["srcnn"]
