"""Bundles run with the literal command, their CPU time measured, and trained only where that was not done before."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tifffile
import torch

PROJECT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("ROCKMONAI_TEST_DATA", PROJECT.parent / "shared" / "data"))


def bundle(name: str, configs: Iterable[str], run: Path, **override: object) -> float:
    """Run configs of a bundle, merged, on one thread, and return the CPU minutes it took; its words go to a log."""
    files = [str(PROJECT / "bundles" / name / "configs" / f"{config}.json") for config in configs]
    flags = [part for key, value in override.items() for part in (f"--{key}", str(value))]
    run.mkdir(parents=True, exist_ok=True)
    with (run / "log.txt").open("a") as log:
        words = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files), *flags]
        process = subprocess.Popen(words, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"})
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} failed, see {run / 'log.txt'}.")
    return (used.ru_utime + used.ru_stime) / 60


def trained(name: str, run: Path, overlays: Iterable[str] = (), **override: object) -> float:
    """Train a bundle, unless that was done with the very same configs, and return the CPU minutes it took."""
    configs = ["train", *overlays]
    texts = [(PROJECT / "bundles" / name / "configs" / f"{config}.json").read_text() for config in configs]
    asked, done = "".join(texts) + json.dumps(override, default=str), run / "trained.txt"
    if not done.is_file() or not done.read_text().endswith(asked):
        minutes = bundle(name, configs, run, output_dir=run, overwrite="true", **override)
        done.write_text(f"{minutes:.2f}\n{asked}")
    return float(done.read_text().partition("\n")[0])


def scores(run: Path) -> dict[str, float]:
    """Return the means that an evaluation has left in a folder, NaN for what no image has a value of."""
    report = json.loads((run / "scores.json").read_text())["metrics"]
    return {key: math.nan if value["mean"] is None else value["mean"] for key, value in report.items()}


def greys(path: Path) -> torch.Tensor:
    """Return a volume of bytes, such as an inference has left, as (1, 1, Z, Y, X) in greys from 0 to 1."""
    return torch.from_numpy(tifffile.imread(path).astype(np.float32) / 255)[None, None]
