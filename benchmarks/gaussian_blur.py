"""What the blur of a degradation costs and how exact it is, beside scipy and MONAI."""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from monai.transforms import GaussianSmooth
from scipy.ndimage import gaussian_filter

from rockmonai.transforms import gaussian_blur

SIGMA, ROUNDS = 1.5, 7


def seconds(function, count: int) -> float:
    """Return process CPU seconds of one call."""
    start = time.process_time()
    for _ in range(count):
        function()
    return (time.process_time() - start) / count


def main() -> None:
    """Print CPU time relative to MONAI and the largest difference to scipy, border included."""
    torch.set_num_threads(1)
    for shape, count in (((128, 128), 200), ((64, 64, 64), 10)):
        image = np.random.default_rng(0).random(shape, dtype=np.float32)
        tensor = torch.from_numpy(image)[None]
        monai = GaussianSmooth(SIGMA)
        peers = {
            "rockmonai": lambda x=tensor: gaussian_blur(x, SIGMA)[0].numpy(),
            "MONAI": lambda x=tensor, smooth=monai: smooth(x)[0].numpy(),
            "scipy": lambda x=image: gaussian_filter(x, SIGMA, mode="reflect"),
        }
        exact = peers["scipy"]()
        times = {name: [] for name in peers}
        for _ in range(ROUNDS):
            for name, call in peers.items():
                times[name].append(seconds(call, count))
        print("x".join(map(str, shape)))
        for name, call in peers.items():
            ratios = [peer / own for peer, own in zip(times["MONAI"], times[name], strict=True)]
            error = np.abs(call() - exact).max()
            print(
                f"  {name:10s} {statistics.median(ratios):5.1f} times as fast as MONAI, "
                f"off scipy by {error:.1e} of [0, 1]"
            )


if __name__ == "__main__":
    main()
