"""Networks whose random weights hide nothing, and what they make of an image that is cut into blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from monai.networks.nets import SegResNet, UNet
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from rockmonai.inferers import Footprint, Tiling, footprint
from rockmonai.inferers.executors import Executor
from rockmonai.inferers.pieces import Piece
from rockmonai.networks import SRResNet
from rockmonai.volumes.blocks import Block, scaled

Factory = Callable[[], nn.Module]


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Return ``network`` in evaluation mode with weights, biases, slopes and statistics that are all at work."""
    torch.manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.PReLU):
            nn.init.uniform_(layer.weight, 0.1, 0.4)
            continue
        if isinstance(layer, _BatchNorm):
            nn.init.uniform_(layer.running_mean, -0.3, 0.3)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
        for parameter in layer.parameters(recurse=False):
            if parameter.ndim > 1:
                nn.init.kaiming_normal_(parameter, a=0.5)
            else:
                nn.init.uniform_(parameter, 0.2, 0.8)
    return network.eval()


def srresnet(**arguments) -> Factory:
    """Return a factory of small SRResNets with kernels of 3."""
    small = {"width": 4, "blocks": 1, "head_kernel": 3, "tail_kernel": 3}
    return lambda: randomised(SRResNet(**(small | arguments)))


def unet(spatial_dims: int = 2, levels: int = 2, **arguments) -> Factory:
    """Return a factory of small MONAI U-Nets with batch norm."""
    channels = [4, 6, 8, 8, 8][: levels + 1]
    return lambda: randomised(UNet(spatial_dims, 1, 2, channels, [2] * levels, norm="batch", **arguments))


def segresnet(spatial_dims: int = 2) -> Factory:
    """Return a factory of small SegResNets with batch norm."""
    return lambda: randomised(
        SegResNet(spatial_dims, 4, blocks_down=(1, 1), blocks_up=(1,), norm="batch", upsample_mode="nontrainable")
    )


def layers(*modules: Callable[[], nn.Module]) -> Factory:
    """Return a factory of a chain of layers."""
    return lambda: randomised(nn.Sequential(*(module() for module in modules)))


def image(*sides: int, channels: int = 1) -> torch.Tensor:
    """Return noise (1, channels, *sides) in [-1, 1], which no network finds smooth."""
    return torch.rand(1, channels, *sides, generator=torch.Generator().manual_seed(len(sides))) * 2 - 1


def tiling(
    network: nn.Module, whole: torch.Tensor, size: int | tuple[int, ...], halo: tuple[int, ...] | None = None
) -> Tiling:
    """Return the blocks of ``whole`` with cores of ``size`` and a halo of the reach."""
    dims = whole.ndim - 2
    seen: Footprint = footprint(network, dims, whole.shape[1])
    sizes = (size,) * dims if isinstance(size, int) else size
    return Tiling(tuple(whole.shape[2:]), whole.shape[1], seen, seen.reach if halo is None else halo, sizes)


@torch.no_grad()
def by_blocks(
    executor: Executor, whole: torch.Tensor, plan: Tiling, blocks: Sequence[Block] | None = None
) -> torch.Tensor:
    """Return what ``executor`` makes of ``whole``, block by block; NaN outside the given ``blocks``."""
    result = whole.new_full((1, plan.footprint.channels, *plan.output_shape), torch.nan)
    for block in plan.blocks if blocks is None else blocks:
        piece = Piece(whole[(..., *block.read)], tuple(part.start for part in block.read), plan.frame)
        fine = scaled(block.core, plan.scale)
        core = executor(piece).between([part.start for part in fine], [part.stop for part in fine])
        result[(..., *fine)] = core.values
    return result


def distance(pred: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the largest difference in standard deviations, over the voxels that were predicted."""
    assert pred.shape == expected.shape
    return float((pred - expected)[pred.isfinite()].abs().max() / expected.std())
