"""Is a fast scan better enhanced by what unpaired slow scans teach, or by denoising and interpolation?

Usage: python benchmarks/unpaired_enhancement.py [rock] [cement] [sandstone]
cyclegan3d learns from fast scans of one part of a volume, whose voxels are twice as wide, and slow scans of another
part. A third part is judged against its slow scan, which nothing has seen: bicubic interpolation, the same after
non-local means, and the network. Non-local means know the noise and are as strong as serves their PSNR best, which no
user could know. The sample rock has a map of its phases; that of the scans is Otsu's, of the slow scan. They are looked
for in ROCKMONAI_TEST_DATA (default ../shared/data).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from bundle_runs import DATA, PROJECT, bundle, greys, trained
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_nl_means

from rockmonai.data import multi_otsu, sample_rock
from rockmonai.data.synthetic_scan import degrade
from rockmonai.metrics import OtsuPhases, area_fraction_error, edge_width, phase_noise, psnr, ssim
from rockmonai.transforms.resampling import resample

RUNS = PROJECT / "runs" / "unpaired_enhancement"
# The noise of the fast scans, in greys from 0 to 1, and multiples of it; scikit-image's documentation recommends 0.8.
NOISE = 0.1
STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
FILES = {"cement": "cement_ct/cement_128x128x128.tif", "sandstone": "sandstone_ct/sandstone.tif"}
# Where along z the slow scans to learn from end, and where the fast ones do; the rest is judged.
ENDS = {"cement": (48, 96), "sandstone": (110, 200)}
TRAINING: dict[str, Any] = {"scale": 2, "epochs": 12, "epoch_length": 150}


def scanned_fast(name: str) -> dict[str, Any]:
    """Write the parts of a scan, two of them as a fast scan has them; return what a bundle must be told."""
    folder, volume = RUNS / name, tifffile.imread(DATA / FILES[name])
    folder.mkdir(parents=True, exist_ok=True)
    first, second = ENDS[name]
    rng = np.random.default_rng(0)
    tifffile.imwrite(folder / "slow.tif", volume[:first])
    for part, slow in {"fast": volume[first:second], "test": volume[second:]}.items():
        slow = slow[tuple(slice(side // 2 * 2) for side in slow.shape)]
        fast = degrade(slow.astype(np.float32) / 255, 2, rng, blur=1.0, sigma=NOISE)
        tifffile.imwrite(folder / f"{part}.tif", np.rint(255 * fast).astype(np.uint8))
    tifffile.imwrite(folder / "truth.tif", slow)
    smooth = gaussian_filter(slow.astype(np.float32), 1.0)
    (pore,) = multi_otsu(torch.from_numpy(smooth), 2)
    tifffile.imwrite(folder / "phases.tif", (smooth >= pore).astype(np.uint8))
    for part in ("fast", "slow"):  # too thin to keep some of it from training; no score is chosen by validation
        entries = [{"path": f"{part}.tif"}]
        (folder / f"{part}.json").write_text(json.dumps({"train": entries, "validate": entries}))
    return {"dataset_dir": folder / "fast.json", "label_dir": folder / "slow.json"}


def places(name: str) -> tuple[dict[str, Any], dict[str, Path]]:
    """Return what a bundle must be told to learn from a rock, and the files that it is judged by."""
    if name in FILES:
        told, folder = scanned_fast(name), RUNS / name
        return told, {part: folder / f"{part}.tif" for part in ("test", "truth", "phases")}
    test = Path(sample_rock(3, 2, fast=True)) / "test"
    folders = {"test": "image", "truth": "label", "phases": "semantic"}
    return {}, {part: test / folder / "rock_000.tif" for part, folder in folders.items()}


def denoised(fast: torch.Tensor, strength: float) -> torch.Tensor:
    """Return a volume after non-local means."""
    h = strength * NOISE
    done = denoise_nl_means(fast[0, 0].numpy(), patch_size=3, patch_distance=5, h=h, sigma=NOISE, fast_mode=True)
    return torch.from_numpy(done.astype(np.float32))[None, None]


def row(title: str, pred: torch.Tensor, truth: torch.Tensor, phases: torch.Tensor, minutes: str = "") -> str:
    """Return a line of the table: noise in solid, edge width, PSNR, SSIM and the error of porosity."""
    figures = [f"{255 * phase_noise(pred, phases, 1).item():.1f}", f"{edge_width(pred, phases, 0).item():.2f}"]
    if pred is truth:
        figures += ["", "", ""]
    else:
        found, wanted = OtsuPhases(2)(pred, truth)
        error = 100 * area_fraction_error(found, wanted, phase=0).item()
        figures += [f"{psnr(pred, truth, 1.0).item():.2f}", f"{ssim(pred, truth, 1.0).item():.3f}", f"{error:+.2f}"]
    return f"| {title} | {' | '.join(figures)} | {minutes} |"


def main(rocks: list[str]) -> None:
    """Train and print a table for each rock."""
    for name in rocks:
        data, files = places(name)
        run = RUNS / name / "cyclegan3d"
        minutes = trained("cyclegan3d", run, **data, **TRAINING)
        output, asked = run / "enhanced.tif", {"scale": 2, "ckpt_dir": run, "overwrite": "true"}
        bundle("cyclegan3d", ["inference"], run, input_file=files["test"], output_file=output, **asked)
        fast, truth, phases = greys(files["test"]), greys(files["truth"]), greys(files["phases"]).mul(255).round()
        size = truth.shape[2:]
        strong = [resample(denoised(fast, strength), size).clamp(0, 1) for strength in STRENGTHS]
        best = max(range(len(strong)), key=lambda index: psnr(strong[index], truth, 1.0).item())
        print(f"| {name} | noise in solid | edge width | PSNR | SSIM | porosity, points | CPU minutes |\n{'|---' * 7}|")
        print(row("bicubic", resample(fast, size).clamp(0, 1), truth, phases))
        print(row(f"non-local means ({STRENGTHS[best]}), bicubic", strong[best], truth, phases))
        print(row("cyclegan3d", greys(output), truth, phases, f"{minutes:.1f}"))
        print(row("slow scan", truth, truth, phases))
        print(json.dumps(json.loads(Path(f"{output}.guards.json").read_text())), flush=True)


if __name__ == "__main__":
    if not DATA.is_dir():
        sys.exit(f"No real rock images in {DATA}; set ROCKMONAI_TEST_DATA.")
    main(sys.argv[1:] or ["rock", "cement", "sandstone"])
