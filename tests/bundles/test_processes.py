"""Bundles as processes: killed without warning, and shared by ranks."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from rockmonai.handlers import newest_checkpoint, read_checkpoint
from tests.bundles.runs import BUNDLES, TINY

# One after the other: processes that wait for each other do badly beside more of their kind.
pytestmark = pytest.mark.xdist_group("processes")
CONFIGS = BUNDLES / "srgan" / "configs"


def command(
    dataset: Path, output: Path, *more: str, config: str | None = None, launcher: tuple[str, ...] = ()
) -> list[str]:
    options = {**TINY, "dataset_dir": dataset, "output_dir": output}
    flags = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    config = config or str(CONFIGS / "train.json")
    return [sys.executable, *launcher, "-m", "monai.bundle", "run", "--config_file", config, *flags, *more]


def run(*args, **kwargs) -> subprocess.CompletedProcess:
    done = subprocess.run(command(*args, **kwargs), capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return done


def test_kill_in_the_middle_of_an_epoch_then_resume_is_bit_equal(small_set, tmp_path):
    long = ("--epochs", "6", "--epoch_length", "40", "--save_iterations", "7")
    process = subprocess.Popen(command(small_set, tmp_path / "killed", *long), stderr=subprocess.DEVNULL)
    while not (tmp_path / "killed" / "metrics.csv").exists() or len(os.listdir(tmp_path / "killed")) < 6:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    resumed = run(small_set, tmp_path / "killed", *long, "--resume", "true")
    assert "resumed in epoch" in resumed.stdout
    run(small_set, tmp_path / "whole", *long)
    a, b = tmp_path / "killed", tmp_path / "whole"
    assert (a / "metrics.csv").read_text() == (b / "metrics.csv").read_text()
    assert _equal(newest_checkpoint(a)[1], newest_checkpoint(b)[1])
    assert _equal(read_checkpoint(a / "model.pt"), read_checkpoint(b / "model.pt"))


def test_a_signal_to_the_whole_group_is_survived_long_enough_to_save(small_set, tmp_path):
    """What a scheduler sends: the loader's workers get it too."""
    long = ("--epochs", "50", "--epoch_length", "40", "--num_workers", "2")
    process = subprocess.Popen(
        command(small_set, tmp_path / "run", *long), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not (tmp_path / "run" / "metrics.csv").exists():
        assert process.poll() is None, "the run ended before it could be stopped"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75
    assert errors.strip().splitlines()[-1].startswith("rockmonai: Stopped by SIGTERM at epoch")
    assert newest_checkpoint(tmp_path / "run") is not None


def test_two_ranks_train_one_model(small_set, tmp_path):
    """Two ranks of batch 1 see the patches that one process of batch 2 sees, and make the same weights of them."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    both = f"['{CONFIGS / 'train.json'}','{CONFIGS / 'multi_gpu_train.json'}']"
    same = ("--warmup_epochs", "2")
    run(small_set, tmp_path / "two", *same, "--batch_size", "1", config=both, launcher=launcher)
    run(small_set, tmp_path / "one", *same)
    scores = [list(csv.DictReader((tmp_path / name / "metrics.csv").open()))[-1]["psnr"] for name in ("two", "one")]
    assert float(scores[0]) == pytest.approx(float(scores[1]), abs=1e-3)
    two, one = (read_checkpoint(tmp_path / name / "model.pt") for name in ("two", "one"))
    assert two.keys() == one.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=1e-5)


def test_two_ranks_play_the_adversarial_game(small_set, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    both = f"['{CONFIGS / 'train.json'}','{CONFIGS / 'multi_gpu_train.json'}']"
    run(small_set, tmp_path / "two", "--warmup_epochs", "0", config=both, launcher=launcher)
    assert (tmp_path / "two" / "model.pt").is_file()
    assert "adversarial_loss" in (tmp_path / "two" / "metrics.csv").read_text()


def _equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    return a == b
