"""How many training crops a second of one CPU: lazily from an open volume, or MONAI's cached data set?"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
import torch
from monai.data import CacheDataset
from monai.transforms import Compose, RandSpatialCropd

from rockmonai.data import PatchDataset
from rockmonai.transforms import OpenVolumed, RandPairedCropd
from rockmonai.volumes import open_volume

SIZE, PATCH, ROUNDS = 256, 64, 5


def rate(dataset, count: int) -> float:
    """Return samples per second of process CPU time."""
    start = time.process_time()
    for draw in range(count):
        dataset[draw % len(dataset)]["label"].sum()
    return count / (time.process_time() - start)


def main() -> None:
    """Print the rates and their ratio, pair by pair."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.tif"
        volume = np.random.default_rng(0).integers(0, 65535, (SIZE,) * 3, dtype=np.uint16)
        tifffile.imwrite(path, volume, photometric="minisblack")
        crop = RandPairedCropd("label", PATCH, spatial_dims=3)
        lazy = PatchDataset([{"label": str(path)}], Compose([OpenVolumed("label"), crop]), length=1000)
        cached = CacheDataset(
            [{"label": open_volume(path).read()}], RandSpatialCropd("label", PATCH, random_size=False), progress=False
        )
        rates = [(rate(lazy, 400), rate(cached, 20)) for _ in range(ROUNDS)]
    ratios = sorted(a / b for a, b in rates)
    print(f"lazy crops       {statistics.median(a for a, _ in rates):8.0f} per CPU second")
    print(f"CacheDataset     {statistics.median(b for _, b in rates):8.0f} per CPU second")
    print(f"ratio            {statistics.median(ratios):8.0f} (from {ratios[0]:.0f} to {ratios[-1]:.0f})")


if __name__ == "__main__":
    main()
