"""A network applied to a finer or coarser image than the one that is there."""

from __future__ import annotations

import math
from typing import cast

import torch
from monai.networks.layers import Pool
from torch import nn

_LINEAR = {2: "bilinear", 3: "trilinear"}


class Magnified(nn.Module):
    """Returns what a network makes of a magnified (or reduced) image, on the grid of the image itself.

    Images are magnified linearly and reduced by the mean over as many voxels; the prediction goes the other way. Whole
    factors keep the grids aligned, so that blocks of an image give what the whole image gives.

    Args:
        network: gives an output on the grid of its input.
        spatial_dims: 2 or 3.
        magnification: voxels of the network's grid along a voxel of the image; the nearest whole number, or one over
            one, is taken, which are at most a factor of 1.42 away.

    Shapes:
        ``(B, C, [Z,] Y, X)`` to ``(B, C', [Z,] Y, X)``.

    Attributes:
        multiple: sides of images are multiples of this, where the network says of what; else ``None``.
    """

    def __init__(self, network: nn.Module, spatial_dims: int, magnification: float) -> None:
        super().__init__()
        grow, shrink = whole_steps(magnification)
        finer = nn.Upsample(scale_factor=max(grow, shrink), mode=_LINEAR[spatial_dims])
        coarser = Pool[Pool.AVG, spatial_dims](max(grow, shrink))
        self.before: nn.Module = finer if grow > 1 else coarser
        self.network = network
        self.after: nn.Module = coarser if grow > 1 else finer
        multiple = cast("int | None", getattr(network, "multiple", None))
        # A magnified image has a multiple of `grow` along each side already.
        self.multiple = None if multiple is None else shrink * multiple // math.gcd(grow, multiple)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the prediction for ``image``."""
        return self.after(self.network(self.before(image)))


def magnified(network: nn.Module, spatial_dims: int, magnification: float) -> nn.Module:
    """Return ``network`` for images that are to be magnified so much, itself where that changes nothing."""
    return network if whole_steps(magnification) == (1, 1) else Magnified(network, spatial_dims, magnification)


def whole_steps(magnification: float) -> tuple[int, int]:
    """Return how many times to magnify and to reduce, one of which is 1, as near as whole numbers come to a ratio.

    Args:
        magnification: above 1 to magnify, below 1 to reduce.
    """
    ratio = max(magnification, 1 / magnification)
    # Half-way between two numbers is where both are the same factor away.
    step = int(ratio)
    step += ratio * ratio > step * (step + 1)
    return (step, 1) if magnification > 1 else (1, step)
