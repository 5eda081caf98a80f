"""How the cost of a voxel depends on the side of a block, and how near it is to the fastest convolution of the machine.

A block in the middle of a large volume reads its halo on all sides. Times are CPU seconds with one thread. What the
network would need for the core alone is *useful*; what the block computes beyond it is the geometric factor.
"""

from __future__ import annotations

import copy
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
    "SRResNet 2D x2, 64 wide, 9 blocks": (SRResNet(2, width=64, blocks=9, **PLAIN), 22, (128, 256, 512)),
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


def main() -> None:
    """Print, for each side of the core, the share of the best rate that is useful, and the cost of a voxel."""
    torch.set_num_threads(1)
    keep_freed_memory()
    with torch.inference_mode():
        for name, (network, reach, cores) in NETWORKS.items():
            network.eval()
            dims = 2 if "2D" in name else 3
            execute, imagined = shrinking(network), shrinking(copy.deepcopy(network).to("meta"))
            whole = copy.deepcopy(network).to("meta")
            useful = operations(whole, (1, 1, *[64] * dims)) / 64**dims
            best = best_rate()
            print(f"{name}; best convolution {best / 1e9:.0f} Gflop/s")
            costs, windows = {}, {}
            for core in cores:
                side = core + 2 * reach
                place = ((10_000,) * dims, (90_000,) * dims)
                factor = (
                    operations(lambda x, p=place: imagined(Piece(x, *p)), (1, 1, *[side] * dims)) / useful / core**dims
                )
                taken = seconds(lambda s=side, p=place: execute(Piece(torch.randn(1, 1, *[s] * dims), *p)))
                window = torch.randn(1, 1, *[core] * dims)
                costs[core] = taken / core**dims / factor
                windows[core] = seconds(lambda x=window: network(x)) / core**dims
                print(
                    f"  core {core:4d}: useful {useful * core**dims / taken / best:.2f} of the best rate, computed "
                    f"{useful * core**dims * factor / taken / best:.2f}; factor {factor:.2f}",
                    flush=True,
                )
            print(
                f"  cost per computed voxel, dearest / cheapest core: {max(costs.values()) / min(costs.values()):.2f}"
            )
            print(f"  the same for stock windows of these sides: {max(windows.values()) / min(windows.values()):.1f}")


if __name__ == "__main__":
    main()
