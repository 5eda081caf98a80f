"""SRResNet, the generator of SRGAN: residual blocks on the coarse grid, sub-pixel convolutions to the fine one."""

from __future__ import annotations

import torch
from monai.networks.layers.utils import get_act_layer
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks.init import init_weights
from rockmonai.networks.layers import (
    ResidualBlock,
    SubpixelStep,
    bias_before,
    check_residual,
    image_tail,
    interpolation,
    normalisation,
    same_convolution,
)


class SRResNet(nn.Module):
    """Returns an image or volume that is ``scale`` times finer per axis.

    Ledig et al., Photo-realistic single image super-resolution using a generative adversarial network,
    https://arxiv.org/abs/1609.04802, with mirrored borders, in two or three dimensions: a wide convolution, residual
    blocks spanned by one long skip, upsampling, a wide convolution. Its receptive field is finite, so that large
    volumes can be tiled exactly, unless ``norm`` measures the image itself (instance, group).

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the coarse image.
        out_channels: channels of the fine image.
        width: channels inside; cost grows with its square.
        blocks: number of residual blocks.
        scale: factor per axis.
        norm: MONAI's name of the normalisation, such as ``"batch"`` or ``"instance"``; ``None`` for none.
            Convolutions have a bias unless it is batch norm; the last one always has.
        dropout: probability inside the residual blocks.
        upsampling: ``"stepwise"`` doubles the grid with learned steps and computes the image on the fine grid, as
            published; ``"direct"`` computes all ``scale ** spatial_dims`` fine voxels of a coarse one at once, in
            about a quarter of the time at ``scale=4``.
        activation: MONAI's name of the activation; ``"prelu"`` learns one slope a layer.
        final: activation of the output, ``"tanh"`` for images in [-1, 1]; ``None`` leaves it unbounded.
        residual: predict the difference from the interpolated input (bicubic in 2D, trilinear in 3D) instead of the
            image itself; a small network then learns in minutes. Needs ``final=None`` and equal channels.
        head_kernel: side of the first kernel, odd; a mirrored border needs images wider than half of it.
        tail_kernel: side of the last kernel, odd.
        init: how the weights start, see :func:`rockmonai.networks.init_weights`.
        init_gain: its gain.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)`` to ``(B, out_channels, [scale Z,] scale Y, scale X)``.

    Attributes:
        multiple: sides of images are multiples of this.

    Raises:
        UsageError: for a scale or a combination of options that has no network.
    """

    multiple = 1

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 64,
        blocks: int = 9,
        scale: int = 4,
        norm: str | tuple | None = "batch",
        dropout: float = 0.0,
        upsampling: str = "stepwise",
        activation: str | tuple = "prelu",
        final: str | None = "tanh",
        residual: bool = False,
        head_kernel: int = 9,
        tail_kernel: int = 7,
        init: str = "normal",
        init_gain: float = 0.02,
    ) -> None:
        super().__init__()
        _check(scale, upsampling)
        if residual:
            check_residual(self, final, in_channels, out_channels)
        bias = bias_before(norm)
        direct = upsampling == "direct"
        doublings = 0 if direct else scale.bit_length() - 1

        self.head = nn.Sequential(
            same_convolution(spatial_dims, in_channels, width, head_kernel, bias), get_act_layer(activation)
        )
        self.body = nn.Sequential(
            *(ResidualBlock(spatial_dims, width, norm, dropout, activation) for _ in range(blocks)),
            same_convolution(spatial_dims, width, width, bias=bias),
            normalisation(norm, spatial_dims, width),
        )
        self.upsample = nn.Sequential(
            *(SubpixelStep(spatial_dims, width, 2, activation, bias, "zeros") for _ in range(doublings))
        )
        self.tail = image_tail(spatial_dims, width, out_channels, tail_kernel, scale if direct else 1, final)
        self.interpolate = interpolation(spatial_dims, scale) if residual else None
        init_weights(self, init, init_gain)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the fine image of a coarse ``image``."""
        features = self.head(image)
        pred = self.tail(self.upsample(features + self.body(features)))
        if self.interpolate is not None:
            pred = pred + self.interpolate(image)
        return pred


def _check(scale: int, upsampling: str) -> None:
    if upsampling not in ("stepwise", "direct"):
        raise UsageError(f"SRResNet upsamples 'stepwise' or 'direct', not '{upsampling}'.")
    if scale < 1 or (upsampling == "stepwise" and scale & (scale - 1)):
        raise UsageError(
            f"SRResNet cannot reach scale {scale} by doubling: choose 1, 2, 4 or 8, or upsampling='direct', "
            "which takes any positive integer."
        )
