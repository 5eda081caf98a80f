from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from rockmonai.errors import ModelError, OutputError, Stopped, find_rock_error
from rockmonai.handlers import newest_checkpoint, read_checkpoint
from tests.bundles.runs import BUNDLES, TINY, train


def expect(kind, match, *args, **kwargs):
    with pytest.raises(Exception) as caught:
        train("srgan", *args, **kwargs)
    error = find_rock_error(caught.value)
    assert isinstance(error, kind), caught.value
    assert pytest.importorskip("re").search(match, str(error)), error


def outcome(folder):
    """Everything a run leaves that must not depend on how often it was interrupted."""
    _, last = newest_checkpoint(folder)
    return last, read_checkpoint(folder / "model.pt"), (folder / "metrics.csv").read_text()


def assert_same(a, b, where=""):
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for number, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}.{number}")
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    else:
        assert a == b, where


FULL = {"epochs": 4, "warmup_epochs": 1, "train__trainer__pool_size": 3, "network_def__dropout": 0.2}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The outcome of four epochs in one go: pool, dropout, two optimisers, a schedule."""
    folder = tmp_path_factory.mktemp("whole")
    from tests.conftest import small_set

    dataset = small_set.__wrapped__(folder) if hasattr(small_set, "__wrapped__") else None
    train("srgan", dataset, folder / "run", **FULL)
    return dataset, outcome(folder / "run")


def test_resume_at_an_epoch_is_bit_equal(uninterrupted, tmp_path):
    dataset, whole = uninterrupted
    schedule = {"lr_scheduler__T_max": 4}
    train("srgan", dataset, tmp_path / "run", **FULL | {"epochs": 2} | schedule)
    train("srgan", dataset, tmp_path / "run", resume=True, **FULL | schedule)
    assert_same(outcome(tmp_path / "run"), whole)


def test_workers_change_nothing(uninterrupted, tmp_path):
    dataset, whole = uninterrupted
    train("srgan", dataset, tmp_path / "run", num_workers=2, **FULL)
    assert_same(outcome(tmp_path / "run"), whole)


@pytest.mark.parametrize("iteration", [2, 6, 7])
def test_a_signal_stops_after_the_iteration_and_resume_is_bit_equal(uninterrupted, tmp_path, iteration):
    """Iteration 6 is the last of an epoch: its validation and schedule must not be lost."""
    dataset, whole = uninterrupted

    class Interrupt:
        def attach(self, engine):
            engine.add_event_handler("iteration_started", self)

        def __call__(self, engine):
            if engine.state.iteration == iteration:
                os.kill(os.getpid(), signal.SIGTERM)

    import rockmonai.handlers

    rockmonai.handlers.Interrupt = Interrupt
    extra = {"+train#handlers": [{"_target_": "rockmonai.handlers.Interrupt"}]}
    try:
        expect(Stopped, f"SIGTERM at epoch {-(-iteration // 3)}, iteration {iteration}", dataset, tmp_path / "run", **FULL, **extra)
    finally:
        del rockmonai.handlers.Interrupt
    train("srgan", dataset, tmp_path / "run", resume=True, **FULL)
    assert_same(outcome(tmp_path / "run"), whole)
