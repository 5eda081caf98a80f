"""What stands beside a map of classes is written with it, survives with it, and is published before it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import torch
from monai.engines import SupervisedEvaluator
from PIL import Image
from scipy.stats import entropy

from rockmonai.data import BlockDataset, BlockLoader, Scan
from rockmonai.errors import DataError, NumericalError, OutputError, Stopped, UsageError
from rockmonai.handlers import BlockWriter
from rockmonai.inferers import tile
from rockmonai.transforms import ScaleGreyd
from rockmonai.volumes import BlockStore, journal
from tests.conftest import PROJECT

COLOURS = [[255, 255, 255], [255, 0, 0], [0, 255, 0]]
GREY = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
BLOCKS = 12
BOTH = ("uncertainty", "picture")


def three_logits(inputs, network):
    return torch.cat([torch.zeros_like(inputs), 6 * inputs, 16 * inputs - 8], dim=1)


class Segmentation:
    """An inference of three classes of a scan, in blocks, with what is wanted beside them."""

    def __init__(self, folder, *beside, overwrite=False, dtype="uint8", colours=COLOURS, classes=True):
        self.folder = folder
        if not (folder / "scan.tif").exists():
            tifffile.imwrite(folder / "scan.tif", GREY)
        scan = Scan(str(folder / "scan.tif"), ScaleGreyd("image", (0, 255)))
        network = torch.nn.Conv2d(1, 3, 3, padding=1)
        tiling = tile(scan, network, 16)

        def store(name, dtype="uint8", channels=1, **options):
            path = folder / f"{name}.tif"
            return BlockStore(path, (channels, *GREY.shape), dtype, None, tiling.size, {}, overwrite, **options)

        self.store = store("classes", classes=classes, channels=1 if classes else 3)
        try:
            self.uncertainty = store("uncertainty", dtype) if "uncertainty" in beside else None
        except OutputError:
            self.store.close()  # as the end of the process would
            raise
        self.picture = store("picture", channels=3, colour=True) if "picture" in beside else None
        self.writer = BlockWriter(self.store, scan, tiling, "dtype", self.uncertainty, self.picture, colours)
        self.evaluator = SupervisedEvaluator(
            device=torch.device("cpu"),
            val_data_loader=BlockLoader(BlockDataset(scan, tiling.blocks, self.writer.done)),
            network=network,
            inferer=three_logits,
            val_handlers=[self.writer],
            decollate=False,
        )

    def run(self):
        self.evaluator.run()
        self.writer.publish()

    def files(self):
        return {path.name: path.read_bytes() for path in self.folder.glob("*.tif") if path.name != "scan.tif"}


@pytest.fixture
def whole(tmp_path):
    """The files of an inference that nothing interrupts."""
    (tmp_path / "whole").mkdir()
    run = Segmentation(tmp_path / "whole", *BOTH)
    run.run()
    return run.files()


def failing(real, at):
    """Return what stands in for a method, and raises from its call number ``at`` on."""
    calls = []

    def stand_in(*args, **kwargs):
        calls.append(args)
        if len(calls) >= at:
            raise KeyError("no luck")
        return real(*args, **kwargs)

    return stand_in


def die_at(folder, at):
    """Run until the line number ``at`` of any journal, and be killed instead of writing it."""
    real, calls = journal.append, []

    def stand_in(*args):
        calls.append(args)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*args)

    journal.append = stand_in
    Segmentation(folder, *BOTH).run()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_uncertainty_and_colours_are_those_of_the_classes(tmp_path, dtype):
    Segmentation(tmp_path, *BOTH, dtype=dtype).run()
    scaled = GREY / 127.5 - 1
    logits = np.stack([np.zeros_like(scaled), 6 * scaled, 16 * scaled - 8])
    classes, unsure = logits.argmax(0), entropy(np.exp(logits), base=3)
    assert np.array_equal(tifffile.imread(tmp_path / "classes.tif"), classes)
    picture = Image.open(tmp_path / "picture.tif")
    assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), np.array(COLOURS)[classes])
    found = tifffile.imread(tmp_path / "uncertainty.tif")
    full = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    assert found.dtype == dtype and unsure.min() < 0.1 and unsure.max() > 0.6
    np.testing.assert_allclose(found, unsure * full, atol=0.5 * (full > 1) + 2e-6 * full)


@pytest.mark.parametrize("victim", ["uncertainty", "picture", "store"])
def test_a_block_that_one_of_them_lacks_is_predicted_again(tmp_path, monkeypatch, whole, victim):
    run = Segmentation(tmp_path, *BOTH)
    store = getattr(run, victim)
    monkeypatch.setattr(store, "write", failing(store.write, 3))
    with pytest.raises(KeyError, match="no luck"):
        run.run()
    again = Segmentation(tmp_path, *BOTH)
    assert again.writer.done == {0, 1} == getattr(again, victim).done
    assert victim == "uncertainty" or again.uncertainty.done > {0, 1}
    assert len(again.evaluator.data_loader) == BLOCKS - 2
    again.run()
    assert again.files() == whole


def test_a_kill_between_the_writes_of_a_block_costs_that_block(tmp_path, whole):
    script = "import sys; from pathlib import Path; from tests.handlers.test_beside_classes import die_at; "
    command = [sys.executable, "-c", f"{script}die_at(Path(sys.argv[1]), 9)", str(tmp_path)]
    died = subprocess.run(command, cwd=PROJECT, timeout=120)
    assert died.returncode == -signal.SIGKILL
    again = Segmentation(tmp_path, *BOTH)
    assert again.uncertainty.done == again.picture.done == {0, 1, 2} and again.store.done == {0, 1}
    assert again.writer.done == {0, 1}
    again.run()
    assert again.files() == whole


def test_what_an_earlier_run_did_not_want_is_made_for_all_blocks(tmp_path, monkeypatch, whole):
    run = Segmentation(tmp_path)
    monkeypatch.setattr(run.store, "write", failing(run.store.write, 6))
    with pytest.raises(KeyError):
        run.run()
    again = Segmentation(tmp_path, *BOTH)
    assert len(again.store.done) == 5 and again.writer.done == set()
    again.run()
    assert again.files() == whole


def test_a_signal_stops_them_together(tmp_path, monkeypatch, whole):
    run = Segmentation(tmp_path, *BOTH)
    greys, calls = run.writer._greys, []

    def stopping(pred):
        calls.append(pred)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return greys(pred)

    monkeypatch.setattr(run.writer, "_greys", stopping)
    with pytest.raises(Stopped, match="after block 4 of 12"):
        run.run()
    again = Segmentation(tmp_path, *BOTH)
    assert {len(store.done) for store in (again.store, again.uncertainty, again.picture)} == {4}
    again.run()
    assert again.files() == whole


def test_the_classes_are_published_last_and_nothing_before_all_is_complete(tmp_path, monkeypatch, whole):
    run = Segmentation(tmp_path, *BOTH)
    monkeypatch.setattr(run.store, "complete", failing(run.store.complete, 1))
    with pytest.raises(KeyError):
        run.run()
    assert not any((tmp_path / name).exists() for name in whole)
    run, there = Segmentation(tmp_path, *BOTH), []
    publish = run.store.publish
    monkeypatch.setattr(run.store, "publish", lambda: (there.extend(sorted(os.listdir(tmp_path))), publish()))
    run.run()
    assert {"picture.tif", "uncertainty.tif"} < set(there) and "classes.tif" not in there
    assert run.files() == whole


def test_a_kill_between_two_names_is_mended_by_overwriting(tmp_path, monkeypatch, whole):
    run = Segmentation(tmp_path, *BOTH)
    monkeypatch.setattr(run.store, "publish", failing(run.store.publish, 1))
    with pytest.raises(KeyError):
        run.run()
    with pytest.raises(OutputError, match=r"uncertainty.tif exists: .*--overwrite true"):
        Segmentation(tmp_path, "uncertainty")
    again = Segmentation(tmp_path, *BOTH, overwrite=True)
    assert len(again.store.done) == BLOCKS
    again.run()
    assert again.files() == whole


def test_a_scan_that_changes_during_the_run_gives_none_of_them(tmp_path):
    run = Segmentation(tmp_path, *BOTH)
    run.evaluator.run()
    tifffile.imwrite(tmp_path / "scan.tif", GREY + 1)
    with pytest.raises(DataError, match="was modified during the run"):
        run.writer.publish()
    assert os.listdir(tmp_path) == ["scan.tif"]


def test_the_bar_counts_every_voxel_once(tmp_path, monkeypatch):
    counted, totals = [], []

    class Bar:
        def __init__(self, total, **_):
            totals.append(total)

        def update(self, voxels):
            counted.append(voxels)

        def close(self):
            pass

    monkeypatch.setattr("rockmonai.handlers.block_writer.Bar", Bar)
    Segmentation(tmp_path, *BOTH).run()
    assert totals == [sum(counted)] == [GREY.size]


def test_a_failure_lets_another_run_have_all_of_them(tmp_path, monkeypatch):
    run = Segmentation(tmp_path, *BOTH)
    monkeypatch.setattr(run.evaluator, "inferer", lambda inputs, network: inputs.new_full((1, 3, 16, 16), torch.nan))
    with pytest.raises(NumericalError, match="NaN"):
        run.run()
    Segmentation(tmp_path, *BOTH).run()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"classes": False}, "goes with classes; this model predicts greys"),
        ({"colours": COLOURS[:2]}, "There are 2 colours for 3 classes: add one for class 2"),
        ({"colours": [*COLOURS[:2], [0, 256, 0]]}, r"\[0, 256, 0\] is no colour"),
    ],
)
def test_what_cannot_be_shown_is_told_before_any_work(tmp_path, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        Segmentation(tmp_path, *BOTH, **options)
