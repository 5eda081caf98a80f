"""Bundles as processes: killed without warning, and shared by ranks."""

from __future__ import annotations

import contextlib
import csv
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
import torch

from rockmonai.handlers import newest_checkpoint, read_checkpoint
from rockmonai.volumes import BlockStore
from tests.bundles.runs import BUNDLES, predict, tiny, tiny_network, write_model, write_small_set

# One after the other: processes that wait for each other do badly beside more of their kind.
pytestmark = pytest.mark.xdist_group("processes")
CONFIGS = BUNDLES / "srgan" / "configs"
AT_MOST = 600  # seconds: a process that hangs is found, one on a busy machine is waited for


def command(
    dataset: Path, output: Path, *more: str, config: str | None = None, launcher: tuple[str, ...] = ()
) -> list[str]:
    options = {**tiny(), "dataset_dir": dataset, "output_dir": output}
    flags = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    config = config or str(CONFIGS / "train.json")
    return [sys.executable, *launcher, "-m", "monai.bundle", "run", "--config_file", config, *flags, *more]


def run(*args, **kwargs) -> subprocess.CompletedProcess:
    done = subprocess.run(command(*args, **kwargs), capture_output=True, text=True, timeout=AT_MOST)
    assert done.returncode == 0, done.stderr
    return done


def test_kill_in_the_middle_of_an_epoch_then_resume_is_bit_equal(small_set, tmp_path):
    long = ("--epochs", "4", "--epoch_length", "40", "--save_iterations", "7")
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
    _, errors = process.communicate(timeout=AT_MOST)
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


def test_two_ranks_keep_the_same_running_statistics(tmp_path):
    """Of batch norms, whose ranks see other patches; what is saved are the statistics that both validate with."""
    configs, dataset = BUNDLES / "feedforward" / "configs", write_small_set(tmp_path / "set", "feedforward")
    keep = f"$torch.save(@network_def.state_dict(), '{tmp_path}/%d.pt' % @train#trainer.state.rank)"
    (tmp_path / "kept.json").write_text(json.dumps({"run": ["$@train#trainer.run()", keep]}))
    files = [str(path) for path in (configs / "train.json", configs / "multi_gpu_train.json", tmp_path / "kept.json")]
    options = {**tiny("feedforward"), "epochs": 1, "dataset_dir": dataset, "output_dir": tmp_path / "two"}
    flags = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launcher, "-m", "monai.bundle", "run", "--config_file", str(files), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=AT_MOST)
    assert done.returncode == 0, done.stderr
    states = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    assert any("running_var" in name for name in states[0])
    assert _equal(*states) and _equal(states[0], read_checkpoint(tmp_path / "two" / "model.pt"))


@pytest.fixture
def scan(tmp_path):
    """A scan beside the weights of a tiny network: 361 blocks of 8 x 8."""
    write_model(tmp_path)
    tifffile.imwrite(tmp_path / "scan.tif", np.random.default_rng(0).integers(0, 256, (150, 150), dtype=np.uint8))
    return tmp_path / "scan.tif"


def inference(scan: Path, output: Path, *more: str, ranks: int = 0) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks)] if ranks else []
    options = tiny_network(input_file=scan, output_file=output, ckpt_dir=scan.parent, block_size=8)
    flags = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    config = str(CONFIGS / "inference.json")
    return [sys.executable, *launcher, "-m", "monai.bundle", "run", "--config_file", config, *flags, *more]


def noted(output: Path, journals: str = "journal*.jsonl") -> set[str]:
    """Return the lines about blocks in the journals of an unfinished volume, which a run may be taking over."""
    lines: set[str] = set()
    for journal in Path(f"{output}.partial").glob(journals):
        with contextlib.suppress(FileNotFoundError):
            lines |= {line for line in journal.read_text().splitlines(keepends=True) if line.endswith("}\n")}
    return {line for line in lines if line.startswith('{"block"')}


def wait_for(output: Path, blocks: int, process, journals: str = "journal*.jsonl") -> None:
    """Wait until the journals of a running process name so many blocks."""
    while len(noted(output, journals)) < blocks:
        alive = (
            process.is_alive() if isinstance(process, multiprocessing.process.BaseProcess) else process.poll() is None
        )
        assert alive, "the run ended before it could be interrupted"
        time.sleep(0.01)


def bytes_of(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


@pytest.mark.parametrize("name", ["fine.ome.zarr", "fine.tif"])
def test_an_inference_killed_again_and_again_ends_with_the_same_files(scan, monkeypatch, caplog, name):
    chance, output, done = random.Random(name), scan.parent / name, 0
    options = {"block_size": 8, "num_workers": 1}
    for _ in range(3):
        fork = multiprocessing.get_context("fork")
        process = fork.Process(target=predict, args=(scan, output, scan.parent), kwargs=options)
        process.start()
        wait_for(output, done + chance.randint(1, 60), process)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        process.join()
        done = len(noted(output))
    written, write = [], BlockStore.write
    monkeypatch.setattr(BlockStore, "write", lambda *args: (written.append(args[1]), write(*args))[1])
    with caplog.at_level("INFO", "rockmonai"):
        predict(scan, output, scan.parent, **options)
    assert f"resuming: {done} of 361 blocks are there" in caplog.text
    assert len(written) == len(set(written)) == 361 - done
    predict(scan, scan.parent / "whole" / name, scan.parent, **options)
    assert bytes_of(output) == bytes_of(scan.parent / "whole" / name)


def test_sigterm_ends_an_inference_after_its_block_and_the_next_run_goes_on(scan, caplog):
    output = scan.parent / "fine.tif"
    command = inference(scan, output)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(output, 3, process)
    os.killpg(process.pid, signal.SIGTERM)  # to the worker, too, as schedulers do
    _, errors = process.communicate(timeout=AT_MOST)
    assert process.returncode == 75
    assert errors.strip().splitlines()[-1].startswith("rockmonai: Stopped by SIGTERM after block")
    assert "Traceback" not in errors and not output.exists()
    with caplog.at_level("INFO", "rockmonai"):
        predict(scan, output, scan.parent, block_size=8)
    assert "resuming: " in caplog.text
    predict(scan, scan.parent / "whole.tif", scan.parent, block_size=8)
    assert output.read_bytes() == (scan.parent / "whole.tif").read_bytes()


def test_a_worker_that_meets_damage_does_not_keep_the_process_from_ending(scan):
    tifffile.imwrite(scan, np.ones((40, 64, 64), np.uint8), photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(scan) as file:
        where = file.pages[30].dataoffsets[0]
    content = bytearray(scan.read_bytes())
    content[where : where + 20] = bytes(20)
    scan.write_bytes(content)
    command = inference(scan, scan.parent / "fine.tif", "--slicewise", "z", "--block_size", "16")
    done = subprocess.run(command, capture_output=True, text=True, timeout=AT_MOST)
    assert done.returncode == 3 and "scan.tif is damaged" in done.stderr.strip().splitlines()[-1]


def test_two_ranks_predict_what_one_process_does_even_if_one_of_them_was_killed(scan):
    output = scan.parent / "fine.ome.zarr"
    command = inference(scan, output, "--num_workers", "0", ranks=2)
    launcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for rank in range(2):
        wait_for(output, 3, launcher, f"journal-{rank}.jsonl")
    ranks = {child.environ()["RANK"]: child for child in psutil.Process(launcher.pid).children()}
    ranks["1"].kill()
    assert launcher.wait(timeout=AT_MOST) != 0
    assert not output.exists()

    again = subprocess.run(command, capture_output=True, text=True, timeout=AT_MOST)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("resuming: ") == again.stdout.count("wrote ") == 1
    predict(scan, scan.parent / "whole" / output.name, scan.parent, block_size=8)
    assert bytes_of(output) == bytes_of(scan.parent / "whole" / output.name)


def _equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    return a == b
