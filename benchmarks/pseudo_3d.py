"""What is a 3D network worth beside a 2D one that refines a volume slice by slice, in three directions?

Usage: python benchmarks/pseudo_3d.py
They are those of edsrgan at x2 in real_rocks.py, trained there on one half of a cement, the 2D one on its slices. The
other half is reduced once, by anti-aliased bicubic reduction in three dimensions, and refined by bicubic interpolation,
by the 2D network (inference with slicewise zyx) and by the 3D network. The scan is looked for in ROCKMONAI_TEST_DATA
(default ../shared/data).
"""

from __future__ import annotations

import sys

import tifffile
import torch
from bundle_runs import DATA, PROJECT, bundle, greys
from real_rocks import RECIPES, learnt

from rockmonai.metrics import psnr, ssim
from rockmonai.transforms.resampling import resample

RUNS = PROJECT / "runs" / "pseudo_3d"
WAYS: dict[str, dict[str, str]] = {
    "edsrgan, cement x2 slices": {"slicewise": "zyx"},
    "edsrgan, cement x2 3D": {},
    "edsrgan for longer, cement x2 3D": {},
}


def row(title: str, pred: torch.Tensor, label: torch.Tensor, minutes: str = "") -> str:
    """Return a line of the table."""
    return f"| {title} | {psnr(pred, label, 1.0).item():.2f} | {ssim(pred, label, 1.0).item():.3f} | {minutes} |"


def main() -> None:
    """Train what is missing, and print what each way makes of the same coarse volume."""
    RUNS.mkdir(parents=True, exist_ok=True)
    scan = tifffile.imread(DATA / "cement_ct" / "cement_128x128x128.tif")[64:]
    tifffile.imwrite(RUNS / "fine.tif", scan)
    fine = greys(RUNS / "fine.tif")
    coarse = 255 * resample(fine, [side // 2 for side in scan.shape])
    tifffile.imwrite(RUNS / "coarse.tif", coarse.round().clamp(0, 255).byte()[0, 0].numpy())
    print("| refined by | PSNR | SSIM | CPU minutes of inference |\n|---|---|---|---|")
    print(row("bicubic interpolation", resample(greys(RUNS / "coarse.tif"), scan.shape).clamp(0, 1), fine))
    for name, way in WAYS.items():
        run, _ = learnt(name)
        output = RUNS / f"{run.name}.tif"
        asked = {"input_file": RUNS / "coarse.tif", "output_file": output, "ckpt_dir": run, "overwrite": "true"}
        configs = ["inference", *RECIPES[name].overlays]
        minutes = bundle("edsrgan", configs, RUNS, **RECIPES[name].options, **way, **asked)
        print(row(name, greys(output), fine, f"{minutes:.2f}"), flush=True)


if __name__ == "__main__":
    if not DATA.is_dir():
        sys.exit(f"No real rock images in {DATA}; set ROCKMONAI_TEST_DATA.")
    main()
