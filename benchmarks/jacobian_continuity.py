"""Does the Jacobian penalty keep neighbouring slices alike, when a 2D network translates a volume slice by slice?

Usage: python benchmarks/jacobian_continuity.py [weight ...]
For each weight of the penalty (WEIGHTS by default) the bundle feedforward learns TXM to SEM on the slices of the 3D
sample rock's training volumes, then translates the test volume, which it has not seen.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import torch

from rockmonai.data import sample_rock
from rockmonai.metrics import psnr, slice_difference
from rockmonai.volumes import open_volume

PROJECT = Path(__file__).resolve().parent.parent
RUNS = PROJECT / "runs" / "jacobian_continuity"
WEIGHTS = (0.0, 1e-6, 1e-5)
SHORT = {"patch_size": 64, "batch_size": 8, "epochs": 6, "epoch_length": 50, "val_patches": 8}


def bundle(config: str, **override: object) -> float:
    """Run a config of feedforward with the literal command and return the CPU minutes it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    flags = [part for key, value in override.items() for part in (f"--{key}", str(value))]
    path = str(PROJECT / "bundles" / "feedforward" / "configs" / f"{config}.json")
    subprocess.run([sys.executable, "-m", "monai.bundle", "run", "--config_file", path, *flags], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60


def predicted(rock: Path, weight: float) -> Path:
    """Train with a weight of the penalty, translate the test volume, and return the file."""
    run = RUNS / f"weight_{weight:g}"
    folders = {"dataset_dir": rock, "output_dir": run, "overwrite": "true"}
    minutes = bundle("train", **folders, **SHORT, jacobian_weight=weight)
    print(f"jacobian_weight {weight:g}: {minutes:.1f} CPU minutes of training", flush=True)
    scan, output = rock / "test" / "txm" / "rock_000.tif", run / "sem.tif"
    bundle("inference", input_file=scan, output_file=output, ckpt_dir=run, slicewise="z", overwrite="true")
    return output


def greys(path: Path) -> torch.Tensor:
    """Return a volume as (1, C, Z, Y, X)."""
    return torch.from_numpy(open_volume(path).read())[None]


def main(weights: list[float]) -> None:
    """Train and predict with each weight, then print the table."""
    rock = Path(sample_rock(3, 1))
    test = rock / "test"
    volumes = {name: test / name.split()[1].lower() / "rock_000.tif" for name in ("the TXM", "the SEM")}
    volumes |= {f"prediction, weight {weight:g}": predicted(rock, weight) for weight in weights}
    sem, uncharged = greys(volumes["the SEM"]), greys(test / "charge" / "rock_000.tif") == 0
    print("| volume | difference of neighbouring slices | PSNR to the SEM, uncharged voxels |\n|---|---|---|")
    for name, path in volumes.items():
        volume = greys(path)
        quality = "" if name == "the SEM" else f"{psnr(volume, sem, 255, uncharged).item():.2f} dB"
        print(f"| {name} | {slice_difference(volume[0]):.2f} | {quality} |")


if __name__ == "__main__":
    main([float(word) for word in sys.argv[1:]] or list(WEIGHTS))
