"""An inference that cannot be, or could not be finished: one sentence, nothing lost, and the same command goes on."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import signal
from types import SimpleNamespace

import h5py
import numpy as np
import psutil
import pytest
import tifffile
import torch

from rockmonai.data import Scan
from rockmonai.errors import find_rock_error
from rockmonai.handlers import BlockWriter, write_checkpoint
from rockmonai.volumes import BlockStore, journal
from tests.bundles.runs import predict, write_model
from tests.bundles.test_bad_input import refused

SHAPE = (71, 90)
BLOCKS = 30


@pytest.fixture
def scan(tmp_path):
    """A scan beside the weights of a tiny network."""
    write_model(tmp_path)
    tifffile.imwrite(tmp_path / "scan.tif", rock(SHAPE))
    return tmp_path / "scan.tif"


def rock(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def go(scan, name="fine.tif", **override):
    predict(scan, scan.parent / name, scan.parent, **{"block_size": 16} | override)


def sums_of(path):
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def left(folder):
    return sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("fine"))


class Fuse:
    """Stands in for a method; the n-th call does something else first, no call for 0."""

    def __init__(self, monkeypatch, owner, name, at=0, act=None):
        self.real, self.at, self.act, self.calls = getattr(owner, name), at, act, 0
        monkeypatch.setattr(owner, name, lambda *args, **kwargs: self(*args, **kwargs))

    def __call__(self, *args, **kwargs):
        self.calls += 1
        if self.calls == self.at:
            self.act()
        return self.real(*args, **kwargs)


def raising(error):
    def act():
        raise error

    return act


def interrupted(scan, monkeypatch, name="fine.tif", at=8, **override):
    """Begin an inference that SIGTERM stops while block number ``at`` is handed over."""
    with monkeypatch.context() as patch:
        Fuse(patch, BlockWriter, "_greys", at, lambda: os.kill(os.getpid(), signal.SIGTERM))
        return refused(lambda: go(scan, name, **override))


@pytest.mark.parametrize("name", ["fine.ome.zarr", "fine.tif"])
def test_stopped_by_a_signal_and_run_again_leaves_the_same_files(scan, monkeypatch, caplog, name):
    go(scan, f"whole/{name}")
    code, text = interrupted(scan, monkeypatch, name)
    assert code == 75
    assert text == "Stopped by SIGTERM after block 8 of 30; run the same command again to continue."
    assert left(scan.parent) == [f"{name}.partial"]
    writes = Fuse(monkeypatch, BlockStore, "write")
    with caplog.at_level(logging.INFO, "rockmonai"):
        go(scan, name)
    assert "resuming: 8 of 30 blocks are there" in caplog.text and writes.calls == BLOCKS - 8
    assert sums_of(scan.parent / name) == sums_of(scan.parent / "whole" / name)
    assert left(scan.parent) == [name]


def test_all_blocks_there_and_not_yet_published(scan, monkeypatch):
    with monkeypatch.context() as patch:
        Fuse(patch, BlockStore, "publish", 1, raising(OSError(errno.EIO, "no luck")))
        with pytest.raises(RuntimeError):
            go(scan)
    assert left(scan.parent) == ["fine.tif.partial"]
    writes = Fuse(monkeypatch, BlockStore, "write")
    go(scan)
    assert writes.calls == 0 and left(scan.parent) == ["fine.tif"]


def change_input(scan):
    tifffile.imwrite(scan, rock(SHAPE, seed=1))


def change_weights(scan):
    network = write_model(scan.parent)
    next(network.parameters()).data += 1
    write_checkpoint(network.state_dict(), scan.parent / "model.pt")


@pytest.mark.parametrize(
    ("change", "override", "sentence"),
    [
        (change_input, {}, r"the input has changed since .*fine\.tif\.partial was begun \(input#modified"),
        (change_weights, {}, r"begun with other values \(weights "),
        (None, {"amp": "bf16"}, r'begun with other values \(config#amp false -> "bf16"\)'),
        (None, {"grey_range": [0, 200]}, r"config#grey_range"),
        (None, {"block_size": 32}, r"blocks#size#0 16 -> 24"),
        (None, {"output_dtype": "uint16"}, r'output#dtype "uint8" -> "uint16"'),
    ],
)
def test_an_unfinished_run_is_not_continued_with_something_else(scan, monkeypatch, change, override, sentence):
    interrupted(scan, monkeypatch)
    if change:
        change(scan)
    code, text = refused(lambda: go(scan, **override))
    assert code == 4 and re.search(sentence, text), text
    assert "--overwrite true" in text and left(scan.parent) == ["fine.tif.partial"]
    writes = Fuse(monkeypatch, BlockStore, "write")
    go(scan, overwrite=True, **override)
    assert writes.calls == (9 if "block_size" in override else BLOCKS)
    assert left(scan.parent) == ["fine.tif"]


def test_a_copy_of_the_scan_elsewhere_continues_on_other_workers(scan, monkeypatch, caplog):
    interrupted(scan, monkeypatch)
    shutil.copy2(scan, scan.with_name("moved.tif"))
    with caplog.at_level(logging.INFO, "rockmonai"):
        predict(scan.with_name("moved.tif"), scan.parent / "fine.tif", scan.parent, block_size=[16, 16], num_workers=1)
    assert "resuming: 8 of 30 blocks are there" in caplog.text


def test_a_scan_is_not_replaced_by_its_own_prediction(scan):
    before = scan.read_bytes()
    code, text = refused(lambda: predict(scan, scan.parent / "." / scan.name, scan.parent, overwrite=True))
    assert code == 5 and "is what is to be read" in text and scan.read_bytes() == before


def test_a_data_set_is_not_replaced_by_its_own_prediction(scan):
    file = scan.with_suffix(".h5")
    with h5py.File(file, "w") as content:
        content["rock"] = tifffile.imread(scan)
    before = file.read_bytes()
    code, text = refused(lambda: predict(f"{file}::rock", file, scan.parent, overwrite=True))
    assert code == 5 and "is what is to be read" in text and file.read_bytes() == before


def test_an_existing_output_is_kept_unless_told_otherwise(scan):
    (scan.parent / "fine.tif").write_text("mine")
    code, text = refused(lambda: go(scan))
    assert code == 5 and "fine.tif exists" in text and "--overwrite true" in text
    assert (scan.parent / "fine.tif").read_text() == "mine" and left(scan.parent) == ["fine.tif"]
    go(scan, overwrite=True)
    assert tifffile.imread(scan.parent / "fine.tif").shape == (142, 180)


def test_a_second_run_on_the_same_output_is_refused(scan, monkeypatch):
    seen = []
    Fuse(monkeypatch, BlockWriter, "_greys", 3, lambda: seen.append(refused(lambda: go(scan, overwrite=True))))
    go(scan)
    ((code, text),) = seen
    assert code == 5 and re.search(rf"fine\.tif is being written by process {os.getpid()} on .* since 2", text)
    assert left(scan.parent) == ["fine.tif"]


def test_a_folder_that_cannot_be(scan):
    code, text = refused(lambda: predict(scan, scan / "fine.tif", scan.parent))
    assert code == 5 and "choose another --output_file" in text


def test_a_small_disk_is_told_before_any_work(scan, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000))
    reads = Fuse(monkeypatch, BlockWriter, "_greys")
    code, text = refused(lambda: go(scan))
    assert code == 5 and "fine.tif needs about" in text and "make room" in text
    assert reads.calls == 0 and left(scan.parent) == []


@pytest.mark.parametrize("name", ["fine.ome.zarr", "fine.tif"])
def test_a_disk_that_fills_up_keeps_the_blocks_before(scan, monkeypatch, caplog, name):
    with monkeypatch.context() as patch:
        Fuse(patch, journal, "append", 11, raising(OSError(errno.ENOSPC, "No space left on device")))
        code, text = refused(lambda: go(scan, name))
    assert code == 5 and "the disk is full while writing" in text
    assert left(scan.parent) == [f"{name}.partial"]
    with caplog.at_level(logging.INFO, "rockmonai"):
        go(scan, name)
    assert re.search(r"resuming: 1\d of 30 blocks are there", caplog.text)
    go(scan, f"whole/{name}")
    assert sums_of(scan.parent / name) == sums_of(scan.parent / "whole" / name)


def test_a_scan_that_changes_during_the_run_gives_no_output(scan, monkeypatch):
    Fuse(monkeypatch, BlockStore, "write", 5, lambda: change_input(scan))
    code, text = refused(lambda: go(scan))
    assert code == 3 and "scan.tif was modified during the run" in text
    assert left(scan.parent) == [], "blocks of two scans must not meet in the next run"


def test_less_free_memory_does_not_change_the_blocks_of_a_run_that_is_continued(scan, monkeypatch):
    tifffile.imwrite(scan, rock((300, 300)))

    def free(nbytes):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=nbytes))

    free(4 << 20)
    interrupted(scan, monkeypatch, at=2, block_size=None)
    free(1 << 20)
    go(scan, block_size=None)
    assert left(scan.parent) == ["fine.tif"]


def test_a_prediction_of_nan_is_told(scan, monkeypatch):
    monkeypatch.setattr(torch, "isfinite", torch.zeros_like)
    code, text = refused(lambda: go(scan))
    assert code == 6 and "NaN or infinite" in text


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("act", [die, raising(RuntimeError("no luck"))], ids=["killed", "raises"])
def test_a_worker_that_fails_names_the_scan(scan, monkeypatch, act):
    with monkeypatch.context() as patch:
        Fuse(patch, Scan, "read", 12, act)
        with pytest.raises(Exception) as caught:
            go(scan, num_workers=1)
    error = find_rock_error(caught.value)
    assert error is not None and "scan.tif" in error.sentence
    go(scan)
    assert left(scan.parent) == ["fine.tif"]
