"""How the cost of a voxel depends on the side of a block, and how near it is to the fastest convolution of the machine.

A block in the middle of a large volume reads its halo on all sides. Times are CPU seconds with one thread. What the
network would need for the core alone is *useful*; what the block computes beyond it is the geometric factor.
"""

from __future__ import annotations

import copy
import functools
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rockmonai.inferers.executors import shrinking
from rockmonai.inferers.memory import keep_freed_memory
from rockmonai.inferers.pieces import Piece
from rockmonai.networks import SRResNet

ROUNDS = 5
PLAIN = {"norm": None, "head_kernel": 3, "tail_kernel": 3, "final": None, "scale": 2}
NETWORKS = {
    "SRResNet 3D x2, 16 wide, 4 blocks": (SRResNet(3, width=16, blocks=4, **PLAIN), 12, (32, 48, 64, 96, 128)),
    "SRResNet 2D x2, 64 wide, 9 blocks": (SRResNet(2, width=64, blocks=9, **PLAIN), 22, (128, 256, 512, 1024)),
}


def seconds(function: Callable[[], object]) -> float:
    """Return the median CPU time of a call, after one to warm up."""
    function()
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        function()
        found.append(time.process_time() - start)
    return statistics.median(found)


def operations(function: Callable[[torch.Tensor], object], shape: tuple[int, ...]) -> float:
    """Return the floating-point operations of a call, counted without doing them."""
    with FlopCounterMode(display=False) as counter:
        function(torch.empty(shape, device="meta"))
    return counter.get_total_flops()


def best_rate() -> float:
    """Return the most operations per second that any convolution of a few usual shapes reaches."""
    rates = []
    for dims, width, side in ((2, 64, 128), (2, 64, 256), (3, 16, 64), (3, 32, 48), (3, 32, 64)):
        for memory in (torch.contiguous_format, torch.channels_last_3d if dims == 3 else torch.channels_last):
            layer = (nn.Conv2d if dims == 2 else nn.Conv3d)(width, width, 3).to(memory_format=memory)
            image = torch.randn(1, width, *[side] * dims).contiguous(memory_format=memory)
            work = 2 * width**2 * 3**dims * (side - 2) ** dims
            rates.append(work / seconds(lambda layer=layer, image=image: layer(image)))
    return max(rates)


def examine(name: str, network: nn.Module, reach: int, cores: tuple[int, ...], best: float) -> None:
    """Print, for each side of the core, the share of the best rate that is useful, and the cost of a voxel."""
    dims = 2 if "2D" in name else 3
    execute, meta = shrinking(network), copy.deepcopy(network).to("meta")
    imagined = shrinking(meta)
    useful = operations(meta, (1, 1, *[64] * dims)) / 64**dims
    costs, windows = {}, {}

    def piece(image: torch.Tensor) -> Piece:
        return Piece(image, (10_000,) * dims, (90_000,) * dims)

    print(f"{name}; best convolution {best / 1e9:.0f} Gflop/s")
    for core in cores:
        shape = (1, 1, *[core + 2 * reach] * dims)
        factor = operations(lambda x: imagined(piece(x)), shape) / useful / core**dims
        block, window = piece(torch.randn(shape)), torch.randn(1, 1, *[core] * dims)
        taken = seconds(functools.partial(execute, block))
        costs[core] = taken / core**dims / factor
        windows[core] = seconds(functools.partial(network, window)) / core**dims
        share = useful * core**dims / taken / best
        computed = share * factor
        print(f"  core {core:4d}: useful {share:.2f} of the best rate, computed {computed:.2f}; factor {factor:.2f}")
    print(f"  cost per computed voxel, dearest / cheapest core: {max(costs.values()) / min(costs.values()):.2f}")
    print(f"  the same for stock windows of these sides: {max(windows.values()) / min(windows.values()):.1f}")


def main() -> None:
    """Examine each network."""
    torch.set_num_threads(1)
    keep_freed_memory()
    with torch.inference_mode():
        for name, (network, reach, cores) in NETWORKS.items():
            examine(name, network.eval(), reach, cores, best_rate())


if __name__ == "__main__":
    main()
