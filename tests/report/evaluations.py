"""Evaluations as a bundle leaves them, made without a network."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import tifffile

ROCKS = ("carbonate", "coal", "sandstone")


def write_evaluation(folder: Path, seed: int = 0, count: int = 5, groups: bool = True, **columns) -> dict:
    """Write scores and examples of ``count`` images a rock; return the columns. ``columns`` replace some of them."""
    names = [f"{rock}_{number:04d}" for rock in ROCKS for number in range(count)]
    base, rng = np.random.default_rng(99), np.random.default_rng(seed)
    psnr = np.repeat([24.0, 42.0, 28.0], count) + base.normal(size=len(names))
    made = {
        "name": names,
        **({"group": [name.split("_")[0] for name in names]} if groups else {}),
        "psnr": (psnr + rng.normal(2, 0.3, len(names))).tolist(),
        "psnr_bicubic": psnr.tolist(),
        "ssim": rng.uniform(0.7, 0.9, len(names)).tolist(),
        "ssim_bicubic": base.uniform(0.5, 0.7, len(names)).tolist(),
    } | columns
    folder.mkdir(parents=True)
    with open(folder / "scores.csv", "w", newline="") as file:
        csv.writer(file).writerows([list(made), *zip(*made.values(), strict=True)])
    (folder / "scores.json").write_text(json.dumps({"images": len(names), "baseline": "bicubic"}))
    for rock in ROCKS:
        label = base.uniform(-1, 1, (24, 30)).astype(np.float32)
        images = {"label": label, "bicubic": label / 2, "pred": label + np.float32(0.1 * (seed + 1))}
        for key, image in images.items():
            (folder / "examples" / key).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / "examples" / key / f"{rock}_0000.tif", image)
    return made


def write_training(folder: Path) -> None:
    """Write the record of a training of two epochs of warm-up and three with a discriminator."""
    rows = [(1, 10, "", ""), (2, 20, "", ""), (3, 30, 0.5, 0.7), (4, 40, 0.6, 0.8), (5, 50, 0.9, 1.0)]
    with open(folder / "metrics.csv", "w", newline="") as file:
        csv.writer(file).writerows([("epoch", "iteration", "real_accuracy", "fake_accuracy"), *rows])
