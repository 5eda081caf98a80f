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
from tests.bundles.runs import BUNDLES, tiny_network, train, workflow


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
        (no_multiple, r"48x47 is not 2 times the image of 24x24; crop the label to 48x48"),
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
    assert code == 3 and "48x48, smaller than a patch of 64x64" in text


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


def test_volume_for_a_2d_model(small_set, tmp_path):
    tifffile.imwrite(tmp_path / "scan.tif", np.ones((5, 20, 20), np.uint8), photometric="minisblack")
    override = tiny_network() | {"input_file": str(tmp_path / "scan.tif"), "output_dir": str(tmp_path)}
    code, text = refused(lambda: workflow("srgan", "inference", "infer", **override).run())
    assert code == 3 and "a volume of 5x20x20 voxels, but the model is 2D" in text


def test_existing_output_is_kept(small_set, tmp_path):
    train("srgan", small_set, tmp_path / "run", epochs=1)
    (tmp_path / "fine.tif").write_text("mine")
    scan = next((small_set / "test" / "image").iterdir())
    override = tiny_network() | {"input_file": str(scan), "output_file": str(tmp_path / "fine.tif")}
    override |= {"output_dir": str(tmp_path), "ckpt_dir": str(tmp_path / "run")}
    code, text = refused(lambda: workflow("srgan", "inference", "infer", **override).run())
    assert code == 5 and "exists already" in text
    assert (tmp_path / "fine.tif").read_text() == "mine"


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
