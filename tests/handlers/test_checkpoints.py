from __future__ import annotations

import os
import re
import signal

import pytest
import torch
from ignite.engine import Events

import rockmonai.handlers
from rockmonai.errors import ModelError, OutputError, Stopped, find_rock_error
from rockmonai.handlers import newest_checkpoint, read_checkpoint
from tests.bundles.runs import train, write_small_set

FULL = {"epochs": 4, "warmup_epochs": 1, "train__trainer__pool_size": 3, "network_def__dropout": 0.2}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The outcome of four epochs in one go: dropout, a pool, two optimisers, a schedule."""
    folder = tmp_path_factory.mktemp("whole")
    dataset = write_small_set(folder / "set")
    train("srgan", dataset, folder / "run", **FULL)
    return dataset, outcome(folder / "run")


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


def expect(kind, match, *args, **kwargs):
    with pytest.raises(Exception) as caught:  # MONAI wraps what its components raise
        train("srgan", *args, **kwargs)
    error = find_rock_error(caught.value)
    assert isinstance(error, kind), caught.value
    assert re.search(match, str(error)), error


class At:
    """A handler that does something at the start of one iteration."""

    def __init__(self, iteration, act):
        self.iteration, self.act = iteration, act

    def attach(self, engine):
        engine.add_event_handler(Events.ITERATION_STARTED(once=self.iteration), lambda: self.act(engine))


@pytest.fixture
def acting(monkeypatch, tmp_path):
    """A way to put an At handler into the training config."""

    def override(iteration, act):
        monkeypatch.setattr(rockmonai.handlers, "Act", lambda: At(iteration, act), raising=False)
        overlay = tmp_path / "act.json"
        overlay.write_text('{"+train#handlers": [{"_target_": "rockmonai.handlers.Act"}]}')
        return {"config": ["train", str(overlay)]}

    return override


def crash(engine):
    raise RuntimeError("power cut")


def test_workers_change_nothing(uninterrupted, tmp_path):
    dataset, whole = uninterrupted
    train("srgan", dataset, tmp_path / "run", num_workers=2, **FULL)
    assert_same(outcome(tmp_path / "run"), whole)


@pytest.mark.parametrize("iteration", [2, 6, 7])
def test_a_signal_loses_nothing_and_resume_is_bit_equal(uninterrupted, tmp_path, acting, iteration):
    """Iteration 6 is the last of an epoch, whose validation and schedule must not be lost."""
    dataset, whole = uninterrupted
    kill = acting(iteration, lambda engine: os.kill(os.getpid(), signal.SIGTERM))
    stopped = f"SIGTERM at epoch {-(-iteration // 3)}, iteration {iteration}"
    expect(Stopped, stopped, dataset, tmp_path / "run", **FULL, **kill)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    resumed = acting(99, print)
    train("srgan", dataset, tmp_path / "run", resume=True, **FULL, **resumed)
    assert_same(outcome(tmp_path / "run"), whole)


@pytest.mark.parametrize("iteration", [7, 8])
def test_a_crash_repeats_the_iterations_since_the_last_checkpoint_exactly(uninterrupted, tmp_path, acting, iteration):
    """Iteration 7 is the first after a checkpoint."""
    dataset, whole = uninterrupted
    with pytest.raises(RuntimeError):
        train("srgan", dataset, tmp_path / "run", **FULL, **acting(iteration, crash))
    train("srgan", dataset, tmp_path / "run", resume=True, **FULL, **acting(99, print))
    assert_same(outcome(tmp_path / "run"), whole)


def test_resuming_a_finished_run_changes_nothing(uninterrupted, tmp_path):
    dataset, whole = uninterrupted
    train("srgan", dataset, tmp_path / "run", **FULL)
    train("srgan", dataset, tmp_path / "run", resume=True, **FULL)
    assert_same(outcome(tmp_path / "run"), whole)


def test_a_damaged_checkpoint_costs_one_interval_only(uninterrupted, tmp_path):
    dataset, whole = uninterrupted
    train("srgan", dataset, tmp_path / "run", **FULL)
    newest = sorted((tmp_path / "run").glob("checkpoint_*.pt"))[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    train("srgan", dataset, tmp_path / "run", resume=True, **FULL)
    assert_same(outcome(tmp_path / "run"), whole)


def test_resume_before_the_first_checkpoint_begins_at_the_beginning(uninterrupted, tmp_path):
    dataset, whole = uninterrupted
    train("srgan", dataset, tmp_path / "run", resume=True, **FULL)
    assert_same(outcome(tmp_path / "run"), whole)


def test_a_worse_epoch_after_a_resume_does_not_replace_the_best_model(small_set, tmp_path, acting):
    def spoil(engine):
        for parameter in engine.network.parameters():
            parameter.data.fill_(0.3)

    pixel_only = {"epochs": 3, "warmup_epochs": 3}
    with pytest.raises(RuntimeError):
        train("srgan", small_set, tmp_path / "run", **pixel_only, **acting(7, crash))
    best = read_checkpoint(tmp_path / "run" / "model.pt")
    train("srgan", small_set, tmp_path / "run", resume=True, **pixel_only, **acting(7, spoil))
    assert_same(read_checkpoint(tmp_path / "run" / "model.pt"), best)


def test_adversarial_phase_keeps_its_last_network_and_the_best_of_the_warmup(small_set, tmp_path):
    train("srgan", small_set, tmp_path / "run", epochs=3, warmup_epochs=1)
    _, last = newest_checkpoint(tmp_path / "run")
    assert_same(dict(read_checkpoint(tmp_path / "run" / "model.pt")), dict(last["network"]))
    warm = read_checkpoint(tmp_path / "run" / "model_warmup.pt")
    assert any(not torch.equal(warm[name], last["network"][name]) for name in warm)


def test_a_finished_run_is_not_overwritten_silently(small_set, tmp_path):
    train("srgan", small_set, tmp_path / "run", epochs=1)
    before = (tmp_path / "run" / "model.pt").read_bytes()
    expect(OutputError, "--resume true .* --overwrite true", small_set, tmp_path / "run", epochs=1)
    assert (tmp_path / "run" / "model.pt").read_bytes() == before
    train("srgan", small_set, tmp_path / "run", epochs=1, seed=5, overwrite=True)
    assert (tmp_path / "run" / "model.pt").read_bytes() != before


def test_resume_with_another_config_names_the_difference(small_set, tmp_path):
    train("srgan", small_set, tmp_path / "run", epochs=1)
    other = {"lr": 0.1, "network_def__width": 6, "epochs": 1}
    expect(ModelError, r"lr 0.0005 -> 0.1; network_def#width 4 -> 6", small_set, tmp_path / "run", **other, resume=True)
    expect(ModelError, r"epochs 1 -> 2", small_set, tmp_path / "run", epochs=2, resume=True)


def test_checkpoints_of_another_run_are_safe_in_a_folder_of_their_own(small_set, tmp_path):
    train("srgan", small_set, tmp_path / "old", epochs=1)
    before = {p.name: p.read_bytes() for p in (tmp_path / "old").glob("*.pt")}
    expect(
        OutputError, "old holds an earlier run", small_set, tmp_path / "new", epochs=1, ckpt_dir=str(tmp_path / "old")
    )
    assert before == {p.name: p.read_bytes() for p in (tmp_path / "old").glob("*.pt")}


@pytest.mark.parametrize("word", ["false", False])
def test_the_word_false_from_a_command_line_means_no(small_set, tmp_path, word):
    train("srgan", small_set, tmp_path / "run", epochs=1, resume=word)
    expect(OutputError, "holds an earlier run", small_set, tmp_path / "run", epochs=1, overwrite=word)
    assert (tmp_path / "run" / "model.pt").is_file()


def test_only_the_newest_checkpoints_stay(small_set, tmp_path):
    train("srgan", small_set, tmp_path / "run", epochs=4)
    assert [p.name for p in sorted((tmp_path / "run").glob("checkpoint_*.pt"))] == [
        "checkpoint_00000009.pt",
        "checkpoint_00000012.pt",
    ]
