"""What a volume costs in exact blocks, beside one pass over the whole, MONAI's and nnU-Net's windows, and plain halos.

Every figure comes from a process of its own with one thread, in rounds; times are CPU seconds from array to array, and
are printed as ratios to the pass over the whole volume.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import sliding_window_inference
from monai.networks.nets import UNet
from torch import nn

from rockmonai.inferers import BlockInferer, Tiling, footprint
from rockmonai.inferers.executors import padding
from rockmonai.inferers.pieces import Piece
from rockmonai.networks import SRResNet

ROUNDS = 3
PLAIN = {"norm": None, "head_kernel": 3, "tail_kernel": 3, "final": None}

# name: network, spatial shape, side of cores and windows
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "SRResNet 3D x2, 16 wide, 4 blocks": (lambda: SRResNet(3, width=16, blocks=4, scale=2, **PLAIN), (144,) * 3, 48),
    "SRResNet 3D x4, 16 wide, 4 blocks": (lambda: SRResNet(3, width=16, blocks=4, scale=4, **PLAIN), (48,) * 3, 24),
    "SRResNet 2D x4, 64 wide, 9 blocks": (lambda: SRResNet(2, width=64, blocks=9, scale=4, **PLAIN), (384, 384), 128),
    "U-Net 3D, 3 levels": (lambda: UNet(3, 1, 1, (16, 32, 64), (2, 2), norm="batch"), (144,) * 3, 48),
}


def whole(network: nn.Module, image: torch.Tensor, side: int) -> torch.Tensor:
    """Return one forward pass over everything."""
    return network(image)


def blocks(network: nn.Module, image: torch.Tensor, side: int, amp: bool | str = False) -> torch.Tensor:
    """Return what rockmonai's blocks make of the image."""
    seen = footprint(network, image.ndim - 2)
    shape = tuple(image.shape[2:])
    tiling = Tiling(shape, 1, seen, tuple(map(int, seen.reach)), (side,) * len(shape))
    inferer = BlockInferer(tiling, amp)
    output = torch.empty(1, 1, *tiling.output_shape)
    for block in tiling.blocks:
        part = MetaTensor(image[(..., *block.read)], meta={"block": block.index})
        output[(..., *block.output(seen.scale))] = inferer(part, network)
    return output


def plain_halo(network: nn.Module, image: torch.Tensor, side: int) -> torch.Tensor:
    """Return the same with the network as it is, which computes its whole halo in every layer."""
    seen = footprint(network, image.ndim - 2)
    shape = tuple(image.shape[2:])
    tiling = Tiling(shape, 1, seen, tuple(map(int, seen.reach)), (side,) * len(shape))
    execute = padding(network)
    output = torch.empty(1, 1, *tiling.output_shape)
    for block in tiling.blocks:
        piece = execute(Piece(image[(..., *block.read)], tuple(part.start for part in block.read), shape))
        fine = block.output(seen.scale)
        output[(..., *fine)] = piece.between([part.start for part in fine], [part.stop for part in fine]).values
    return output


def monai(network: nn.Module, image: torch.Tensor, side: int, overlap: float) -> torch.Tensor:
    """Return MONAI's sliding window with gaussian blending."""
    return sliding_window_inference(image, (side,) * (image.ndim - 2), 1, network, overlap, mode="gaussian")


def nnunet(network: nn.Module, image: torch.Tensor, side: int) -> torch.Tensor:
    """Return windows at steps of half their side, weighted by a gaussian of an eighth of it, as nnU-Net places them."""
    shape, dims = image.shape[2:], image.ndim - 2
    steps = [math.ceil((n - side) / (side / 2)) + 1 for n in shape]
    starts = [np.linspace(0, n - side, count).round().astype(int) for n, count in zip(shape, steps, strict=True)]
    total = weights = None
    for corner in product(*starts):
        window = tuple(slice(a, a + side) for a in corner)
        pred = network(image[(..., *window)])
        scale = pred.shape[2] // side
        if total is None or weights is None:
            total = torch.zeros(1, 1, *(n * scale for n in shape))
            weights = torch.zeros_like(total)
            line = torch.exp(-0.5 * ((torch.arange(side * scale) - (side * scale - 1) / 2) / (side * scale / 8)) ** 2)
            bell = math.prod(line.reshape([-1 if axis == own else 1 for axis in range(dims)]) for own in range(dims))
            bell = bell.clamp(min=float(bell[bell > 0].min()))
        fine = tuple(slice(part.start * scale, part.stop * scale) for part in window)
        total[(..., *fine)] += pred * bell
        weights[(..., *fine)] += bell
    assert total is not None and weights is not None
    return total / weights


CASES: dict[str, Callable[[nn.Module, torch.Tensor, int], torch.Tensor]] = {
    "whole volume, one pass": whole,
    "rockmonai": blocks,
    "rockmonai, bf16": lambda network, image, side: blocks(network, image, side, "bf16"),
    "plain halo": plain_halo,
    "MONAI, overlap 0.25": lambda network, image, side: monai(network, image, side, 0.25),
    "MONAI, overlap 0.5": lambda network, image, side: monai(network, image, side, 0.5),
    "nnU-Net's windows": nnunet,
}


def measure(name: str, case: str, folder: Path) -> dict[str, float]:
    """Run one case in this process; return its CPU seconds and its distance from the pass over the whole."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    build, shape, side = NETWORKS[name]
    network = build().eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight)
    image = torch.randn(1, 1, *shape)
    with torch.inference_mode():
        network(image[(..., *(slice(0, side) for _ in shape))])
        start = time.process_time()
        output = CASES[case](network, image, side).numpy()
        seconds = time.process_time() - start
    exact = folder / "whole.npy"
    if not exact.exists():
        np.save(exact, output)
    error = np.abs(output - np.load(exact, mmap_mode="r"))
    span = float(np.ptp(output))
    rms = float(np.sqrt(np.square(error, dtype=np.float64).mean()))
    return {
        "seconds": seconds,
        "error": float(error.max() / output.std()),
        "decibels": 20 * math.log10(span / rms) if rms else math.inf,
    }


def main() -> None:
    """Print a table for each network."""
    if len(sys.argv) == 4:
        print(json.dumps(measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
        return
    for name, (_, shape, side) in NETWORKS.items():
        found: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
        with tempfile.TemporaryDirectory() as folder:
            for _, case in product(range(ROUNDS), CASES):
                command = [sys.executable, __file__, name, case, folder]
                found[case].append(json.loads(subprocess.check_output(command, text=True).splitlines()[-1]))
        print(f"{name}; {' x '.join(map(str, shape))} voxels, cores and windows of {side}")
        for case, runs in found.items():
            ratios = [
                run["seconds"] / one["seconds"] for run, one in zip(runs, found["whole volume, one pass"], strict=True)
            ]
            print(
                f"  {case:24s} {statistics.median(ratios):6.2f} times the whole; "
                f"off by at most {runs[0]['error']:.1e} std, {runs[0]['decibels']:.1f} dB",
                flush=True,
            )


if __name__ == "__main__":
    main()
