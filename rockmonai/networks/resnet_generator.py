"""The ResNet generator of image translation: residual blocks on a grid four times coarser than the image."""

from __future__ import annotations

import torch
from monai.networks.layers.utils import get_act_layer
from torch import nn

from rockmonai.networks.init import init_weights
from rockmonai.networks.layers import (
    ResidualBlock,
    bias_before,
    check_sides,
    doubling_convolution,
    halving_convolution,
    normalisation,
    same_convolution,
)


class ResNetGenerator(nn.Module):
    """Returns an image or volume of the same size in another look, such as SEM from TXM.

    Johnson et al., Perceptual losses for real-time style transfer and super-resolution,
    https://arxiv.org/abs/1603.08155, in the layout of pix2pix and CycleGAN, https://arxiv.org/abs/1703.10593: a wide
    convolution, two that halve the grid, residual blocks, two that double it, a wide convolution. Its receptive field
    is finite, so that large volumes can be tiled exactly, unless ``norm`` measures the image itself (instance, group).

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: channels of the output.
        width: channels on the fine grid, a quarter of those of the residual blocks; cost grows with its square.
        blocks: number of residual blocks.
        norm: MONAI's name of the normalisation, such as ``"batch"`` or ``"instance"``; ``None`` for none.
            Convolutions have a bias unless it is batch norm; the last one always has.
        dropout: probability inside the residual blocks.
        final: activation of the output, ``"tanh"`` for images in [-1, 1]; ``None`` leaves it unbounded.
        init: how the weights start, see :func:`rockmonai.networks.init_weights`.
        init_gain: its gain.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)`` to ``(B, out_channels, [Z,] Y, X)``, with sides of 8, 12, 16 ... voxels.

    Attributes:
        multiple: sides of images are multiples of this.

    Raises:
        UsageError: when called with an image whose sides are no multiples of 4.
    """

    multiple = 4

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 64,
        blocks: int = 9,
        norm: str | tuple | None = "batch",
        dropout: float = 0.0,
        final: str | None = "tanh",
        init: str = "normal",
        init_gain: float = 0.02,
    ) -> None:
        super().__init__()
        bias = bias_before(norm)

        def normalised(convolution: nn.Module, channels: int) -> tuple[nn.Module, ...]:
            return convolution, normalisation(norm, spatial_dims, channels), nn.ReLU()

        self.head = nn.Sequential(*normalised(same_convolution(spatial_dims, in_channels, width, 7, bias), width))
        self.down = nn.Sequential(
            *normalised(halving_convolution(spatial_dims, width, 2 * width, 3, bias), 2 * width),
            *normalised(halving_convolution(spatial_dims, 2 * width, 4 * width, 3, bias), 4 * width),
        )
        self.body = nn.Sequential(
            *(ResidualBlock(spatial_dims, 4 * width, norm, dropout, "relu") for _ in range(blocks))
        )
        self.up = nn.Sequential(
            *normalised(doubling_convolution(spatial_dims, 4 * width, 2 * width, 3, bias), 2 * width),
            *normalised(doubling_convolution(spatial_dims, 2 * width, width, 3, bias), width),
        )
        self.tail = nn.Sequential(
            same_convolution(spatial_dims, width, out_channels, 7), get_act_layer(final) if final else nn.Identity()
        )
        init_weights(self, init, init_gain)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the translated ``image``."""
        if not torch.jit.is_scripting():
            check_sides(self, image, self.multiple)
        return self.tail(self.up(self.body(self.down(self.head(image)))))
