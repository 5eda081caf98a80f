"""The repair of charging artefacts keeps all that is not charged, and is scored on charging whose truth is known."""

from __future__ import annotations

import csv
import json
import logging
import re
import shutil

import numpy as np
import pytest
import tifffile
from skimage.metrics import peak_signal_noise_ratio

from rockmonai.__main__ import main
from rockmonai.bundle import export
from rockmonai.errors import DataError, find_rock_error
from rockmonai.volumes import BlockStore
from tests.bundles.runs import BUNDLES, predict, tiny_evaluation, tiny_network, workflow, write_model, write_small_set


@pytest.fixture
def model(tmp_path):
    """A folder with the weights of a tiny network."""
    write_model(tmp_path, bundle="image_repair")
    return tmp_path


def write_scans(folder, dtype="uint8"):
    """Write an SEM image, its TXM image and its charging; return the first and the last."""
    rng = np.random.default_rng(1)
    sem, txm = rng.integers(0, np.iinfo(dtype).max, (2, 40, 52), dtype=dtype, endpoint=True)
    charge = (rng.random(sem.shape) < 0.3).astype(np.uint8)
    for name, pixels in {"sem": sem, "txm": txm, "charge": charge}.items():
        tifffile.imwrite(folder / f"{name}.tif", pixels)
    return sem, charge


def repaired(model, name, **override):
    files = {"txm_file": str(model / "txm.tif"), "charge_file": str(model / "charge.tif")}
    predict(model / "sem.tif", model / name, model, bundle="image_repair", **files | override)
    return tifffile.imread(model / name)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_what_is_not_charged_keeps_its_greys(model, dtype):
    sem, charge = write_scans(model, dtype)
    found = repaired(model, "repaired.tif", block_size=16)
    assert found.dtype == dtype and np.array_equal(found[charge == 0], sem[charge == 0])
    assert (found[charge == 1] != sem[charge == 1]).mean() > 0.9


def test_greys_below_the_charge_are_not_looked_at(model):
    sem, charge = write_scans(model)
    found = repaired(model, "repaired.tif")
    tifffile.imwrite(model / "sem.tif", np.where(charge, 77, sem).astype(np.uint8))
    assert np.array_equal(repaired(model, "again.tif"), found)


def test_a_guide_that_was_moved_is_the_same_guide(model, monkeypatch, caplog):
    write_scans(model)

    def fail(store):
        raise OSError("no luck")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(BlockStore, "publish", fail)
        repaired(model, "repaired.tif", block_size=16)
    shutil.move(model / "txm.tif", model / "moved.tif")
    with caplog.at_level(logging.INFO, "rockmonai"):
        repaired(model, "repaired.tif", block_size=16, txm_file=str(model / "moved.tif"))
    assert re.search(r"resuming: (\d+) of \1 blocks", caplog.text)


def test_the_guide_matters_unless_there_is_none(model):
    write_scans(model)
    itself = str(model / "sem.tif")
    assert (repaired(model, "guided.tif") != repaired(model, "by_itself.tif", txm_file=itself)).any()
    alone = [repaired(model, f"{n}.tif", guided=False, **more) for n, more in enumerate([{}, {"txm_file": itself}])]
    assert np.array_equal(*alone)


def test_one_command_repairs_a_scan(model, monkeypatch):
    write_scans(model)
    monkeypatch.chdir(model)
    monkeypatch.setenv("ROCKMONAI_BUNDLES", str(BUNDLES))
    sizes = [f"--{key}={value}" for key, value in tiny_network("image_repair").items()]
    files = ["--txm_file", "txm.tif", "--charge_file", "charge.tif", "--ckpt_dir", "."]
    main(["predict", "image_repair", "sem.tif", "out.tif", *files, *sizes])
    assert np.array_equal(tifffile.imread("out.tif"), repaired(model, "repaired.tif"))


def test_the_baseline_is_the_image_with_its_charging(model, tmp_path):
    files = {"dataset_dir": str(write_small_set(tmp_path / "set", "image_repair")), "ckpt_dir": str(model)}
    override = tiny_evaluation("image_repair") | files | {"output_dir": str(tmp_path / "scores")}
    flow = workflow("image_repair", "evaluate", "infer", **override)
    flow.run()
    rows = {row["name"]: row for row in csv.DictReader((tmp_path / "scores" / "scores.csv").open())}
    dataset = flow.parser.get_parsed_content("dataset")
    for window in (dataset[draw] for draw in range(len(rows))):
        # What should be there is a window of the file, in its greys.
        label = np.rint((window["label"][0].numpy() + 1) * 127.5).astype(np.uint8)
        sem = tifffile.imread(tmp_path / "set" / "test" / "sem" / f"{window['name']}.tif")
        assert (np.lib.stride_tricks.sliding_window_view(sem, label.shape) == label).all((2, 3)).any()
        charged = window["charge"][0].numpy() > 0
        assert 0.05 < charged.mean() < 0.2
        damaged = np.where(charged, np.uint8(255), label)
        for metric, where in {"psnr_input": label >= 0, "psnr_charge_input": charged}.items():
            expected = peak_signal_noise_ratio(label[where], damaged[where], data_range=255)
            assert float(rows[window["name"]][metric]) == pytest.approx(expected, abs=1e-3)
        # All error is in the charged pixels.
        inside, whole = (float(rows[window["name"]][name]) for name in ("psnr_charge", "psnr"))
        assert whole - inside == pytest.approx(-10 * np.log10(charged.mean()), abs=1e-3)


def test_export_measures_a_network_of_three_channels(tmp_path):
    skip = shutil.ignore_patterns("models", "evaluation", "predictions")
    bundle = shutil.copytree(BUNDLES / "image_repair", tmp_path / "image_repair", ignore=skip)
    write_model(bundle / "models", bundle="image_repair")
    assert export(bundle, **tiny_network("image_repair")).is_file()
    # Two levels: 3 * (2 ** 2 - 1).
    assert json.loads((bundle / "configs" / "metadata.json").read_text())["footprint"]["reach"] == [9, 9]


def test_the_charge_of_another_scan_is_never_taken(model):
    """Beside a scan without its partners nothing is guessed."""
    write_scans(model)
    with pytest.raises(Exception) as caught:
        predict(
            model / "sem.tif", model / "repaired.tif", model, bundle="image_repair", txm_file=str(model / "txm.tif")
        )
    error = find_rock_error(caught.value)
    assert isinstance(error, DataError) and "pass it as --charge_file" in str(error)
    assert not (model / "repaired.tif").exists()
