"""The layers that our networks share, in two and three dimensions."""

from __future__ import annotations

import torch
from monai.networks.blocks import SubpixelUpsample
from monai.networks.layers import Conv
from monai.networks.layers.utils import get_act_layer, get_norm_layer
from monai.utils import ensure_tuple
from torch import nn

from rockmonai.errors import UsageError


def same_convolution(
    spatial_dims: int,
    in_channels: int,
    out_channels: int,
    kernel: int = 3,
    bias: bool = True,
    padding_mode: str = "reflect",
) -> nn.Module:
    """Return a stride-1 convolution whose output is as large as its input.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the kernel, odd.
        bias: whether the convolution adds a bias.
        padding_mode: ``"reflect"`` mirrors the image at its border (every side must then be longer than
            ``kernel // 2``), ``"zeros"`` surrounds it with zeros.

    Raises:
        UsageError: for an even kernel, which has no centre.
    """
    if kernel % 2 == 0:
        raise UsageError(f"A convolution that keeps the size needs an odd kernel, found {kernel}: use {kernel + 1}.")
    return Conv[Conv.CONV, spatial_dims](
        in_channels, out_channels, kernel, padding=kernel // 2, bias=bias, padding_mode=padding_mode
    )


def halving_convolution(spatial_dims: int, in_channels: int, out_channels: int, kernel: int, bias: bool) -> nn.Module:
    """Return a stride-2 convolution with a kernel of 3 or 4 that halves even sides."""
    return Conv[Conv.CONV, spatial_dims](in_channels, out_channels, kernel, stride=2, padding=1, bias=bias)


def doubling_convolution(spatial_dims: int, in_channels: int, out_channels: int, kernel: int, bias: bool) -> nn.Module:
    """Return a stride-2 transposed convolution with a kernel of 3 or 4 that doubles the sides."""
    return Conv[Conv.CONVTRANS, spatial_dims](
        in_channels, out_channels, kernel, stride=2, padding=1, output_padding=kernel % 2, bias=bias
    )


def check_sides(network: nn.Module, image: torch.Tensor, multiple: int, least: int = 1) -> None:
    """Check that ``network``, which halves its image several times, can double it to the same size again.

    Raises:
        UsageError: if a side of ``image`` is no multiple of ``multiple``, or below ``least``.
    """
    # What traces the layers of a network hands over a stand-in without sides.
    if isinstance(image, torch.Tensor) and any(side % multiple or side < least for side in image.shape[2:]):
        from_least = f" from {least} on" if least > multiple else ""
        raise UsageError(
            f"This {type(network).__name__} takes images whose sides are multiples of {multiple} voxels{from_least}, "
            f"found {' x '.join(map(str, image.shape[2:]))}: choose such a patch size, or a network of fewer levels."
        )


def normalisation(norm: str | tuple | None, spatial_dims: int, channels: int) -> nn.Module:
    """Return MONAI's normalisation layer of the name ``norm``, or one that does nothing for ``None``."""
    return get_norm_layer(norm, spatial_dims, channels) if norm else nn.Identity()


def bias_before(norm: str | tuple | None) -> bool:
    """Return whether a convolution followed by ``norm`` has a bias: batch norm brings its own, nothing else does."""
    return str(ensure_tuple(norm)[0]).lower() != "batch"


def pixel_shuffle(spatial_dims: int, factor: int) -> nn.Module:
    """Return the rearrangement of every ``factor ** spatial_dims`` channels into one channel on a finer grid.

    Shi et al., https://arxiv.org/abs/1609.05158.
    """
    # By default MONAI would blur the result with a pooling.
    return SubpixelUpsample(spatial_dims, None, scale_factor=factor, conv_block=None, apply_pad_pool=False)


def image_tail(
    spatial_dims: int, width: int, out_channels: int, kernel: int, factor: int, final: str | None
) -> nn.Sequential:
    """Return the convolution that makes an image of features, all ``factor ** spatial_dims`` voxels of one at once.

    Args:
        spatial_dims: 2 or 3.
        width: channels of the features.
        out_channels: channels of the image.
        kernel: side of the kernel, odd.
        factor: how many times finer the image is per axis.
        final: MONAI's name of its activation; ``None`` for none.
    """
    return nn.Sequential(
        same_convolution(spatial_dims, width, out_channels * factor**spatial_dims, kernel),
        pixel_shuffle(spatial_dims, factor) if factor > 1 else nn.Identity(),
        get_act_layer(final) if final else nn.Identity(),
    )


def interpolation(spatial_dims: int, factor: int) -> nn.Upsample:
    """Return the interpolation whose error a residual network predicts: bicubic in 2D, trilinear in 3D."""
    return nn.Upsample(scale_factor=float(factor), mode="bicubic" if spatial_dims == 2 else "trilinear")


def check_residual(network: nn.Module, final: str | None, in_channels: int, out_channels: int) -> None:
    """Check that the output of ``network`` can be a difference from its interpolated input.

    Raises:
        UsageError: if it is bounded or has other channels.
    """
    if final or in_channels != out_channels:
        raise UsageError(
            f"A residual {type(network).__name__} adds its output to its input, which needs final=null and equal "
            f"channels; found final={final!r}, {in_channels} channels in and {out_channels} out."
        )


class SubpixelStep(nn.Sequential):
    """Returns features on a grid ``factor`` times finer, by a convolution and a pixel shuffle."""

    def __init__(
        self,
        spatial_dims: int,
        width: int,
        factor: int,
        activation: str | tuple,
        bias: bool = True,
        padding_mode: str = "reflect",
    ) -> None:
        super().__init__(
            same_convolution(spatial_dims, width, width * factor**spatial_dims, bias=bias, padding_mode=padding_mode),
            pixel_shuffle(spatial_dims, factor),
            get_act_layer(activation),
        )


class ResidualBlock(nn.Module):
    """Returns its input plus two normalised convolutions of it; the shape stays."""

    def __init__(
        self, spatial_dims: int, width: int, norm: str | tuple | None, dropout: float, activation: str | tuple
    ) -> None:
        super().__init__()
        bias = bias_before(norm)
        self.residual = nn.Sequential(
            same_convolution(spatial_dims, width, width, bias=bias),
            normalisation(norm, spatial_dims, width),
            get_act_layer(activation),
            nn.Dropout(dropout) if dropout else nn.Identity(),
            same_convolution(spatial_dims, width, width, bias=bias),
            normalisation(norm, spatial_dims, width),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return ``features`` plus what the block adds to them."""
        return features + self.residual(features)
