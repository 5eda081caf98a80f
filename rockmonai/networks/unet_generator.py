"""The U-Net generator of pix2pix: strided convolutions down to a few voxels, transposed ones and skips back up."""

from __future__ import annotations

import torch
from monai.networks.layers import SkipConnection
from monai.networks.layers.utils import get_act_layer
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks.init import init_weights
from rockmonai.networks.layers import (
    bias_before,
    check_sides,
    doubling_convolution,
    halving_convolution,
    normalisation,
)


class UNetGenerator(nn.Module):
    """Returns an image or volume of the same size in another look, such as SEM from TXM.

    Isola et al., Image-to-image translation with conditional adversarial networks, https://arxiv.org/abs/1611.07004,
    in two or three dimensions. Each level halves the grid, to ``width`` times 1, 2, 4, 8, 8, ... channels, and hands
    its features past all deeper ones. A voxel depends on ``3 * (2 ** levels - 1)`` voxels to each side, 765 with 8
    levels, unless ``norm`` measures the image itself (instance, group): with fewer levels, large volumes are tiled at
    less cost.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: channels of the output.
        width: channels of the first level; cost grows with its square.
        levels: number of halvings, 2 or more: 7 for the published ``unet_128``, 8 for ``unet_256``.
        norm: MONAI's name of the normalisation, such as ``"batch"`` or ``"instance"``; ``None`` for none. The first
            level and the way down of the last have none. Convolutions have a bias unless it is batch norm; the last
            one always has.
        dropout: probability on the way up through the levels between two of the greatest width; with 5 or fewer
            levels there are none.
        final: activation of the output, ``"tanh"`` for images in [-1, 1]; ``None`` leaves it unbounded.
        init: how the weights start, see :func:`rockmonai.networks.init_weights`.
        init_gain: its gain.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)`` to ``(B, out_channels, [Z,] Y, X)``, with sides that are multiples of
        ``2 ** levels``.

    Attributes:
        multiple: sides of images are multiples of this.

    Raises:
        UsageError: for fewer than 2 levels; when called with an image whose sides are no such multiples.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 64,
        levels: int = 8,
        norm: str | tuple | None = "batch",
        dropout: float = 0.0,
        final: str | None = "tanh",
        init: str = "normal",
        init_gain: float = 0.02,
    ) -> None:
        super().__init__()
        if levels < 2:
            raise UsageError(
                f"A UNetGenerator has 2 levels or more, found {levels}: choose 7 for images of 128 voxels."
            )
        self.multiple = 2**levels
        widths = [width * min(2**level, 8) for level in range(levels)]
        below: nn.Module | None = None
        for outer, inner in zip(widths[-2::-1], widths[:0:-1], strict=True):
            thinned = dropout if below is not None and outer == inner else 0.0
            below = SkipConnection(Level(spatial_dims, outer, inner, below, norm, thinned))
        assert below is not None
        self.down = halving_convolution(spatial_dims, in_channels, width, 4, bias_before(norm))
        self.below = below
        self.up = nn.Sequential(
            nn.ReLU(),
            doubling_convolution(spatial_dims, 2 * width, out_channels, 4, bias=True),
            get_act_layer(final) if final else nn.Identity(),
        )
        init_weights(self, init, init_gain)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the translated ``image``."""
        if not torch.jit.is_scripting():
            check_sides(self, image, self.multiple)
        return self.up(self.below(self.down(image)))


class Level(nn.Sequential):
    """Returns what a level and those ``below`` it make of its features, on the same grid."""

    def __init__(
        self,
        spatial_dims: int,
        outer: int,
        inner: int,
        below: nn.Module | None,
        norm: str | tuple | None,
        dropout: float,
    ) -> None:
        bias = bias_before(norm)
        deeper = [] if below is None else [normalisation(norm, spatial_dims, inner), below]
        super().__init__(
            nn.LeakyReLU(0.2),
            halving_convolution(spatial_dims, outer, inner, 4, bias),
            *deeper,
            nn.ReLU(),
            doubling_convolution(spatial_dims, 2 * inner if deeper else inner, outer, 4, bias),
            normalisation(norm, spatial_dims, outer),
            nn.Dropout(dropout) if dropout else nn.Identity(),
        )
