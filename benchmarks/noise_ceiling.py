"""How good could super-resolution of a noisy scan be at all, if it knew the rock and only not the noise?

Usage: python benchmarks/noise_ceiling.py
Within quartz and within pores of a Versa sandstone (three slices; masks eroded by 4 voxels) a window shows noise and
nothing else. What of its power lies above the highest frequency of the low-resolution image is not in that image, so
that no network can know it: this variance, everywhere, is the least mean squared error. The images are looked for in
ROCKMONAI_TEST_DATA (default ../shared/data).
"""

from __future__ import annotations

import math

import numpy as np
import tifffile
from bundle_runs import DATA
from scipy import ndimage

WINDOW = 32
COLOURS = {"quartz": (255, 0, 0), "pore": (0, 0, 255)}
# Saturated windows, all 0, are the air around the plug.
MOST_BLACK = 0.5


def unknowable(image: np.ndarray, inside: np.ndarray, scale: int) -> list[float]:
    """Return, for every window that lies inside, the variance above the band of an image ``scale`` times coarser."""
    taper = np.outer(np.hanning(WINDOW), np.hanning(WINDOW))
    frequency = abs(np.fft.fftfreq(WINDOW))
    above = np.maximum.outer(frequency, frequency) > 0.5 / scale
    found = []
    for y in range(0, image.shape[0] - WINDOW, WINDOW // 2):
        for x in range(0, image.shape[1] - WINDOW, WINDOW // 2):
            part = slice(y, y + WINDOW), slice(x, x + WINDOW)
            if inside[part].all() and (image[part] == 0).mean() < MOST_BLACK:
                power = abs(np.fft.fft2((image[part] - image[part].mean()) * taper)) ** 2 / (taper**2).sum()
                found.append(float(power[above].sum()) / WINDOW**2)
    return found


def main() -> None:
    """Print the variance above the band in squared grey levels of 255, and the PSNR that it leaves."""
    print("| slice | phase | windows | x2: variance | PSNR, dB | x4: variance | PSNR, dB |\n" + "|---" * 7 + "|")
    for number in ("0000", "0200", "0400"):
        name = f"Sandstone_Versa{number}.tif"
        image = tifffile.imread(DATA / "sandstone_versa" / "images" / name).astype(float)
        mask = tifffile.imread(DATA / "sandstone_versa" / "masks" / name)
        for phase, colour in COLOURS.items():
            inside = ndimage.binary_erosion((mask == colour).all(-1), iterations=4)
            cells = []
            for scale in (2, 4):
                found = unknowable(image, inside, scale)
                variance = float(np.mean(found))
                cells += [f"{variance:.1f}", f"{10 * math.log10(255**2 / variance):.1f}"]
            print(f"| {number} | {phase} | {len(found)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
