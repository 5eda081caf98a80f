"""EDSR, the generator of EDSRGAN: residual blocks without any norm on the coarse grid, three ways to the fine one."""

from __future__ import annotations

import torch
from monai.networks.layers.utils import get_act_layer
from torch import nn

from rockmonai.errors import UsageError, did_you_mean
from rockmonai.networks.init import init_weights
from rockmonai.networks.layers import SubpixelStep, check_residual, image_tail, interpolation, same_convolution

UPSAMPLINGS = ("stepwise", "direct", "nearest")


class EDSR(nn.Module):
    """Returns an image or volume that is ``scale`` times finer per axis.

    Lim et al., Enhanced deep residual networks for single image super-resolution, https://arxiv.org/abs/1707.02921,
    with what Wang et al. made of it for rocks, https://arxiv.org/abs/1907.07131: three dimensions, and an activation
    after every step of the upsampling. Borders are mirrored. Nothing is normalised, so that its receptive field is
    finite and large volumes can be tiled exactly.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the coarse image.
        out_channels: channels of the fine image.
        width: channels between the blocks; cost grows with its square.
        blocks: number of residual blocks.
        scale: factor per axis.
        upsampling: ``"stepwise"`` refines the grid with learned steps of 2 and 3 and computes the image on the fine
            grid, as published; ``"direct"`` computes all ``scale ** spatial_dims`` fine voxels of a coarse one at
            once, at a fraction of the cost; ``"nearest"`` convolves and then repeats voxels, factor by factor, as the
            volumes of EDSRGAN were made.
        activation: MONAI's name of the activation; ``"prelu"`` learns one slope a layer,
            ``("prelu", {"num_parameters": width})`` one a channel (with ``expansion=1``).
        expansion: channels inside a block per channel between blocks; 2 to 4 give the wide activation of WDSR-A (Yu et
            al., https://arxiv.org/abs/1808.08718), without its weight normalisation; it affords half the ``width`` for
            the same cost.
        residual_scale: factor of what a block adds to its features; 0.1 keeps the training of networks of 256 channels
            stable.
        final: activation of the output, ``"tanh"`` for images in [-1, 1]; ``None`` leaves it unbounded.
        residual: predict the difference from the interpolated input (bicubic in 2D, trilinear in 3D) instead of the
            image itself; a small network then learns in minutes. Needs ``final=None`` and equal channels.
        tail_kernel: side of the last kernel, odd.
        init: how the weights start, see :func:`rockmonai.networks.init_weights`.
        init_gain: its gain.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)`` to ``(B, out_channels, [scale Z,] scale Y, scale X)``.

    Attributes:
        multiple: sides of images are multiples of this.
        least_side: shortest side of an image: 2 voxels, of which one is mirrored; more for a large last kernel.

    Raises:
        UsageError: for a scale or a combination of options that has no network; when called with a smaller image.
    """

    multiple = 1

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 64,
        blocks: int = 16,
        scale: int = 4,
        upsampling: str = "stepwise",
        activation: str | tuple = "relu",
        expansion: int = 1,
        residual_scale: float = 1.0,
        final: str | None = None,
        residual: bool = False,
        tail_kernel: int = 3,
        init: str = "normal",
        init_gain: float = 0.02,
    ) -> None:
        super().__init__()
        _check(scale, upsampling)
        if residual:
            check_residual(self, final, in_channels, out_channels)
        direct = upsampling == "direct"
        self.least_side = max(2, tail_kernel // 2 // (1 if direct else scale) + 1)
        step = NearestStep if upsampling == "nearest" else SubpixelStep
        factors = [] if direct else prime_factors(scale)

        self.head = same_convolution(spatial_dims, in_channels, width)
        self.body = nn.Sequential(
            *(Block(spatial_dims, width, activation, expansion, residual_scale) for _ in range(blocks)),
            same_convolution(spatial_dims, width, width),
        )
        self.upsample = nn.Sequential(*(step(spatial_dims, width, factor, activation) for factor in factors))
        self.tail = image_tail(spatial_dims, width, out_channels, tail_kernel, scale if direct else 1, final)
        self.interpolate = interpolation(spatial_dims, scale) if residual else None
        init_weights(self, init, init_gain)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the fine image of a coarse ``image``."""
        if not torch.jit.is_scripting():
            self._check(image)
        features = self.head(image)
        pred = self.tail(self.upsample(features + self.body(features)))
        if self.interpolate is not None:
            pred = pred + self.interpolate(image)
        return pred

    def _check(self, image: torch.Tensor) -> None:
        # What traces the layers of a network hands over a stand-in without sides.
        if isinstance(image, torch.Tensor) and min(image.shape[2:]) < self.least_side:
            raise UsageError(
                f"This EDSR mirrors images of {self.least_side} voxels a side or more at their borders, found "
                f"{' x '.join(map(str, image.shape[2:]))}: take a larger image."
            )


class Block(nn.Module):
    """Returns its input plus ``scale`` times two convolutions of it, which are ``expansion`` times wider between."""

    def __init__(self, spatial_dims: int, width: int, activation: str | tuple, expansion: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.residual = nn.Sequential(
            same_convolution(spatial_dims, width, expansion * width),
            get_act_layer(activation),
            same_convolution(spatial_dims, expansion * width, width),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return ``features`` plus what the block adds to them."""
        added = self.residual(features)
        # A factor of 1 is left out: tiled inference then sums in place.
        return features + (added if self.scale == 1 else self.scale * added)


class NearestStep(nn.Sequential):
    """Returns features on a grid ``factor`` times finer, by a convolution and the repetition of every voxel."""

    def __init__(self, spatial_dims: int, width: int, factor: int, activation: str | tuple) -> None:
        super().__init__(
            same_convolution(spatial_dims, width, width),
            get_act_layer(activation),
            nn.Upsample(scale_factor=float(factor), mode="nearest"),
        )


def prime_factors(number: int) -> list[int]:
    """Return the prime factors of a positive ``number``, the smallest first; none of 1."""
    factors, factor = [], 2
    while number > 1:
        if number % factor:
            factor += 1
        else:
            factors.append(factor)
            number //= factor
    return factors


def _check(scale: int, upsampling: str) -> None:
    if upsampling not in UPSAMPLINGS:
        hint = did_you_mean(upsampling, UPSAMPLINGS)
        raise UsageError(f"EDSR upsamples {', '.join(UPSAMPLINGS)}, not '{upsampling}'{hint}.")
    if scale < 1 or (upsampling == "stepwise" and not {*prime_factors(scale)} <= {2, 3}):
        raise UsageError(
            f"EDSR cannot reach scale {scale} by steps of 2 and 3: choose 1, 2, 3, 4 or 8, or upsampling='direct', "
            "which takes any positive integer."
        )
