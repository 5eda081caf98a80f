"""Does super-resolution that learnt from random degradations hold on degradations that it has not seen?

Usage: python benchmarks/unseen_degradations.py
Two networks of edsrgan learn from slices 0000 and 0200 of a Versa sandstone at x4 with the pixel loss, one from bicubic
reduction, one from the random degradations of "scan". Slice 0400 is reduced in ways that neither has seen, by Pillow,
SciPy and scikit-image, and in both ways that were learnt from. The images are looked for in ROCKMONAI_TEST_DATA
(default ../shared/data).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tifffile
import torch
from bundle_runs import DATA, PROJECT, bundle, trained
from PIL import Image
from real_rocks import RECIPES, listed
from scipy import ndimage
from skimage.measure import block_reduce

from rockmonai.transforms import Degraded

RUNS = PROJECT / "runs" / "unseen_degradations"
RECIPE = RECIPES["edsrgan, versa x4"]
DRAWS = 8


def reduced(fine: np.ndarray) -> dict[str, np.ndarray]:
    """Return an image in bytes at a quarter of its size, by a name that begins with how it was made."""
    rng = np.random.default_rng(0)
    greys = fine.astype(float)
    line = np.fliplr(np.eye(5)) / 5
    lanczos = np.asarray(
        Image.fromarray(fine).resize((fine.shape[1] // 4, fine.shape[0] // 4), Image.Resampling.LANCZOS)
    )
    images = {
        "lanczos_": lanczos,
        "box of 7, then area_": block_reduce(ndimage.uniform_filter(greys, 7), 4, np.mean),
        "motion of 5 along a diagonal, then area_": block_reduce(ndimage.convolve(greys, line), 4, np.mean),
        "lanczos, gaussian noise of 2 percent_": lanczos + 0.02 * 255 * rng.standard_normal(lanczos.shape),
        "lanczos, gaussian noise of 5 percent_": lanczos + 0.05 * 255 * rng.standard_normal(lanczos.shape),
        "lanczos, speckle of 5 percent_": lanczos * (1 + 0.05 * rng.standard_normal(lanczos.shape)),
    }
    unit = torch.from_numpy(greys / 127.5 - 1)[None].float()
    for preset, draws in {"bicubic": 1, "scan": DRAWS}.items():
        for draw in range(draws):
            degraded = Degraded("image", 4, preset).set_random_state(seed=draw)({"image": unit, "label": unit})
            images[f"{preset}_{draw}"] = (degraded["image"][0].numpy() + 1) * 127.5
    return {name: np.rint(image).clip(0, 255).astype(np.uint8) for name, image in images.items()}


def written() -> Path:
    """Write the test slice in all its reductions as a data set and return its folder."""
    fine = tifffile.imread(DATA / "sandstone_versa" / "images" / "Sandstone_Versa0400.tif")
    fine = fine[: fine.shape[0] // 4 * 4, : fine.shape[1] // 4 * 4]
    for name, image in reduced(fine).items():
        for folder, pixels in {"image": image, "label": fine}.items():
            path = RUNS / "set" / "test" / folder / f"{name}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, pixels)
    return RUNS / "set"


def main() -> None:
    """Train what is missing, and print what both networks make of every reduction."""
    test, groups = written(), {}
    for degradation in ("bicubic", "scan"):
        run = RUNS / degradation
        trained("edsrgan", run, dataset_dir=listed("versa"), degradation=degradation, **RECIPE.training)
        output = run / "scores"
        bundle("edsrgan", ["evaluate"], run, dataset_dir=test, ckpt_dir=run, output_dir=output, overwrite="true")
        groups[degradation] = json.loads((output / "scores.json").read_text())["groups"]
    print("| reduced by | bicubic | learnt from bicubic | learnt from scan |\n|---|---|---|---|")
    for kind, found in groups["scan"].items():
        cells = [of["mean"] for of in (found["psnr_bicubic"], groups["bicubic"][kind]["psnr"], found["psnr"])]
        print(f"| {kind} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")


if __name__ == "__main__":
    if not DATA.is_dir():
        sys.exit(f"No real rock images in {DATA}; set ROCKMONAI_TEST_DATA.")
    main()
