"""Bad input ends with one sentence and an exit code, before any training, and loses nothing."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import torch

from rockmonai.errors import find_rock_error
from rockmonai.handlers import write_checkpoint
from tests.bundles.runs import BUNDLES, predict, tiny_network, train, workflow, write_model


def refused(action) -> tuple[int, str]:
    """Return the exit code and the sentence with which ``action`` is refused."""
    with pytest.raises(Exception) as caught:
        action()
    error = find_rock_error(caught.value)
    assert error is not None, caught.value
    assert "\n" not in error.sentence
    return error.exit_code, error.sentence


def empty_folder(folder):
    for path in (folder / "train" / "label").iterdir():
        path.unlink()


def missing_partner(folder):
    (folder / "train" / "label" / "rock1.tif").unlink()


def no_multiple(folder):
    tifffile.imwrite(folder / "train" / "label" / "rock1.tif", np.ones((48, 47), np.uint8))


def colours(folder):
    rgb = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    tifffile.imwrite(folder / "train" / "label" / "rock1.tif", rgb, photometric="rgb")


def nan_voxels(folder):
    for path in (folder / "train" / "label").iterdir():
        grey = np.zeros((48, 48), np.float32)
        grey[3, 17] = np.nan
        tifffile.imwrite(path, grey)


def truncated(folder):
    path = folder / "train" / "label" / "rock1.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])


def floats_without_range(folder):
    for path in (folder / "train" / "label").iterdir():
        tifffile.imwrite(path, np.random.default_rng(0).random((48, 48), dtype=np.float32))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (empty_folder, r"no images in .*train/label; it holds nothing"),
        (missing_partner, r"1 of 3 images in .*image have no partner in .*label: rock1\.tif"),
        (no_multiple, r"48 x 47 is not 2 times the image of 24 x 24; crop the label to 48 x 48"),
        (colours, r"rock1\.tif.*grey"),
        (nan_voxels, r"rock0\.tif has 1 NaN/Inf voxels, first at \(y, x\) = \(3, 17\)"),
        (truncated, r"rock1\.tif.*of \d+ bytes"),
        (floats_without_range, r"grey_range"),
    ],
)
@pytest.mark.parametrize("num_workers", [0, 1])
def test_data_that_would_spoil_a_training(small_set, tmp_path, spoil, sentence, num_workers):
    spoil(small_set)
    code, text = refused(lambda: train("srgan", small_set, tmp_path / "run", num_workers=num_workers))
    assert code == 3 and re.search(sentence, text), text
    assert not (tmp_path / "run" / "metrics.csv").exists()
    assert not list((tmp_path / "run").glob("*.pt"))


def test_image_smaller_than_the_patch(small_set, tmp_path):
    code, text = refused(lambda: train("srgan", small_set, tmp_path / "run", patch_size=64))
    assert code == 3 and "48 x 48, smaller than a patch of 64 x 64" in text


def test_patch_that_the_scale_does_not_divide(small_set, tmp_path):
    code, text = refused(lambda: train("srgan", small_set, tmp_path / "run", patch_size=25))
    assert code == 2 and "patch_size is 25; pass a multiple of the scale 2, such as 48" in text


def test_slices_for_a_3d_model(small_set, tmp_path):
    code, text = refused(lambda: train("srgan", small_set, tmp_path / "run", spatial_dims=3))
    assert code == 3 and "the model is 3D" in text


def test_unwritable_output(small_set, tmp_path):
    (tmp_path / "file").touch()
    code, text = refused(lambda: train("srgan", small_set, tmp_path / "file" / "run"))
    assert code == 5 and "choose another --output_dir" in text


def test_a_refused_run_does_not_stand_in_the_way_of_the_next(small_set, tmp_path):
    refused(lambda: train("srgan", small_set, tmp_path / "run", patch_size=64))
    train("srgan", small_set, tmp_path / "run", epochs=1)
    assert (tmp_path / "run" / "model.pt").is_file()


def evaluate(small_set, tmp_path, **override):
    override = tiny_network() | {"dataset_dir": str(small_set), "output_dir": str(tmp_path / "scores")} | override
    workflow("srgan", "evaluate", "infer", **override).run()


def test_missing_checkpoint_says_what_is_there(small_set, tmp_path):
    code, text = refused(lambda: evaluate(small_set, tmp_path, ckpt_dir=str(tmp_path / "nowhere")))
    assert code == 4 and "holds no checkpoint; train first" in text


def test_checkpoint_of_another_architecture(small_set, tmp_path):
    train("srgan", small_set, tmp_path / "run", epochs=1, network_def__width=8)
    code, text = refused(lambda: evaluate(small_set, tmp_path, ckpt_dir=str(tmp_path / "run")))
    assert code == 4 and re.search(r"'head.*' is \(8, .*\) in the file and \(4, .*\) in the network", text)


def volume(path):
    tifffile.imwrite(path, np.ones((5, 20, 20), np.uint8), photometric="minisblack")


def image(path):
    tifffile.imwrite(path, np.ones((20, 20), np.uint8))


def three_channels(path):
    rgb = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    tifffile.imwrite(path, rgb, photometric="rgb")


def nan_in_a_volume(path):
    grey = np.zeros((6, 8, 20), np.float32)
    grey[0, 3, 17] = np.nan
    tifffile.imwrite(path, grey, photometric="minisblack")


def stack_cut_short(path):
    tifffile.imwrite(path, np.ones((10, 64, 64), np.uint8), imagej=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])


def nothing(path):
    pass


VOLUME_MODEL = {"spatial_dims": 3}
POOLING = {"_target_": "monai.networks.blocks.ResidualSELayer", "spatial_dims": 2, "in_channels": 1, "r": 1}


@pytest.mark.parametrize(
    ("write", "override", "code", "sentence"),
    [
        (volume, {}, 3, r"scan\.tif is a volume of 5 x 20 x 20 voxels and the model is 2D: pass --slicewise z"),
        (image, VOLUME_MODEL, 3, r"scan\.tif is 1 slice of 20 x 20 pixels and a 3D model needs a volume"),
        (image, {"slicewise": "z"}, 3, r"--slicewise needs a volume"),
        (volume, {"slicewise": "q"}, 2, r"slicewise is 'q'"),
        (volume, VOLUME_MODEL | {"slicewise": "z"}, 2, r"slicewise is 'z' for a 3D model"),
        (three_channels, {}, 3, r"scan\.tif is a colour image"),
        (
            image,
            {"network_def__in_channels": 3, "network_def__residual": False},
            3,
            r"has 1 channels, the model exp.* 3",
        ),
        (nan_in_a_volume, VOLUME_MODEL | {"grey_range": [0, 1]}, 3, r"1 NaN/Inf .* \(z, y, x\) = \(0, 3, 17\)"),
        (stack_cut_short, VOLUME_MODEL, 3, r"scan\.tif is incomplete: pages readable 1, declared 10"),
        (nothing, {}, 3, r"scan\.tif does not exist"),
        (image, {"block_size": 0}, 2, r"block_size is 0; give one positive number"),
        (image, {"halo": "wide"}, 2, r"halo is 'wide'; use 'reach', 'calibrated' or a number"),
        (image, {"device": "cpu", "scale": 1, "network_def": POOLING}, 4, r"looks at its whole .*sliding_window\.json"),
    ],
)
def test_scan_or_model_that_do_not_fit_leave_nothing_behind(tmp_path, write, override, code, sentence):
    write_model(tmp_path / "model", **{key: value for key, value in override.items() if key != "slicewise"})
    write(tmp_path / "scan.tif")
    found, text = refused(lambda: predict(tmp_path / "scan.tif", tmp_path / "f.tif", tmp_path / "model", **override))
    assert found == code and re.search(sentence, text), text
    assert not list(tmp_path.glob("f.tif*"))


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--epochss", "3"], 2, "no key 'epochss' (did you mean 'epochs'?)"),
        (["--dataset_dir", "nowhere"], 3, "There is no data set nowhere"),
    ],
)
def test_literal_command_ends_with_the_sentence_and_its_code(tmp_path, options, code, sentence):
    config = str(BUNDLES / "srgan" / "configs" / "train.json")
    command = [
        sys.executable,
        "-m",
        "monai.bundle",
        "run",
        "--config_file",
        config,
        "--output_dir",
        str(tmp_path / "run"),
    ]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == code
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("rockmonai: ") and sentence in last
    assert "Traceback" not in done.stderr


def test_nan_weights_are_refused_by_the_file(tmp_path):
    with pytest.raises(Exception, match="NaN"):
        write_checkpoint({"w": torch.full((2,), float("nan"))}, tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())
