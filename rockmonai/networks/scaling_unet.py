"""A small U-Net whose output is as fine as its input, or 2 or 4 times finer or coarser: a pair makes a cycle."""

from __future__ import annotations

from itertools import pairwise

import torch
from monai.networks.layers import Pool
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks.init import init_weights
from rockmonai.networks.layers import (
    bias_before,
    check_residual,
    check_sides,
    doubling_convolution,
    interpolation,
    normalisation,
    same_convolution,
)

# Which levels of the way down begin by halving the grid; one more halving leads to the coarsest grid of all.
_FINER = {1: (False, True), 2: (False, True), 4: (False, False)}
_COARSER = {1: (False, True), 2: (False, True, True), 4: (True, True, True)}


class ScalingUNet(nn.Module):
    """Returns an image or volume in another look that is ``scale`` times finer per axis, or coarser.

    The U-Net (Ronneberger et al., https://arxiv.org/abs/1505.04597) as small as it gets: two or three levels down by
    max-pooling, up by transposed convolutions, as far as the output's grid, with mirrored borders and an unbounded
    output, in two or three dimensions. Two of them, one finer and one ``coarser``, are the generators of a CycleGAN
    (Zhu et al., https://arxiv.org/abs/1703.10593) between a fast, coarse scan and a slow, fine one. Its receptive field
    is finite, so that large volumes can be tiled exactly, unless ``norm`` measures the image itself (instance, group)
    or the output is coarser than the input.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: channels of the output.
        width: half the channels of the first level, even; cost grows with its square.
        scale: factor per axis between the two grids: 1, 2 or 4.
        coarser: lead from the fine grid to the coarse one instead.
        norm: MONAI's name of the normalisation, such as ``"batch"`` or ``"instance"``; ``None`` for none, as published.
            Convolutions have a bias unless it is batch norm; the last one always has.
        residual: predict the difference from the input, interpolated (bicubic in 2D, trilinear in 3D) or averaged over
            the coarse voxels, instead of the image itself: the network then starts close to the identity, with the
            contrast the right way round. Needs equal channels.
        init: how the weights start, see :func:`rockmonai.networks.init_weights`.
        init_gain: its gain.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)`` to ``(B, out_channels, [scale Z,] scale Y, scale X)``, divided by ``scale``
        instead where ``coarser``, with sides that are twice, three times ... ``multiple``.

    Attributes:
        multiple: sides of images are multiples of this: of 4, 4 and 2 voxels at the scales 1, 2 and 4; where
            ``coarser``, of 4, 8 and 16.

    Raises:
        UsageError: for another scale, an odd width, or a residual between unequal channels; when called with an image
            of other sides.
    """

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 1,
        width: int = 32,
        scale: int = 1,
        coarser: bool = False,
        norm: str | tuple | None = None,
        residual: bool = False,
        init: str = "normal",
        init_gain: float = 0.02,
    ) -> None:
        super().__init__()
        _check(scale, width)
        if residual:
            check_residual(self, None, in_channels, out_channels)
        halves = (_COARSER if coarser else _FINER)[scale]
        self.multiple = 2 ** (1 + sum(halves))
        finer = scale > 1 and not coarser
        widths = [2 * width, 4 * width, 8 * width][: len(halves)]
        self.down = nn.ModuleList(
            Level(spatial_dims, before, channels, convolutions, halve, norm)
            for before, channels, convolutions, halve in zip(
                [in_channels, *widths], widths, (1, 1, 2), halves, strict=False
            )
        )
        self.coarsest = nn.Sequential(
            Pool[Pool.MAX, spatial_dims](2), *Doubling(spatial_dims, widths[-1], 2 * width, width, norm)
        )
        # Where both levels lie on the grid of the input, what skips from the first must be brought to the finer one.
        self.skip = Doubling(spatial_dims, width + widths[0], width, widths[0], norm) if not any(halves) else None
        inner = 2 * width if finer else width
        last, narrow = inner + widths[-2], width // 2
        self.up = nn.ModuleList(
            [
                Doubling(spatial_dims, width + widths[-1], inner, inner, norm),
                Doubling(spatial_dims, last, width, narrow, norm)
                if finer
                else Convolution(spatial_dims, last, narrow, norm),
            ]
        )
        self.tail = same_convolution(spatial_dims, narrow, out_channels, 1)
        self.resampled = _resampling(spatial_dims, scale, coarser) if residual else None
        init_weights(self, init, init_gain)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the translated ``image``."""
        if not torch.jit.is_scripting():
            check_sides(self, image, self.multiple, least=2 * self.multiple)
        features = image
        skipped: list[torch.Tensor] = []
        for level in self.down:
            features = level(features)
            skipped.append(features)
        features = self.coarsest(features)
        if self.skip is not None:
            skipped[0] = self.skip(torch.cat([features, skipped[0]], 1))
        for level in self.up:
            features = level(torch.cat([features, skipped.pop()], 1))
        pred = self.tail(features)
        if self.resampled is not None:
            pred = pred + self.resampled(image)
        return pred


class Convolution(nn.Sequential):
    """Returns features after a convolution with its norm and ReLU, on the same grid."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, norm: str | tuple | None) -> None:
        super().__init__(
            same_convolution(spatial_dims, in_channels, out_channels, bias=bias_before(norm)),
            normalisation(norm, spatial_dims, out_channels),
            nn.ReLU(),
        )


class Level(nn.Sequential):
    """Returns the features of a level on the way down, which may begin by halving the grid."""

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        convolutions: int,
        halve: bool,
        norm: str | tuple | None,
    ) -> None:
        channels = [in_channels] + [out_channels] * convolutions
        super().__init__(
            Pool[Pool.MAX, spatial_dims](2) if halve else nn.Identity(),
            *(Convolution(spatial_dims, *pair, norm) for pair in pairwise(channels)),
        )


class Doubling(nn.Sequential):
    """Returns features on a grid twice as fine."""

    def __init__(
        self, spatial_dims: int, in_channels: int, between: int, out_channels: int, norm: str | tuple | None
    ) -> None:
        super().__init__(
            *Convolution(spatial_dims, in_channels, between, norm),
            doubling_convolution(spatial_dims, between, out_channels, 3, bias_before(norm)),
            normalisation(norm, spatial_dims, out_channels),
            nn.ReLU(),
        )


def _resampling(spatial_dims: int, scale: int, coarser: bool) -> nn.Module:
    """Return what brings an image to the grid of the output without a look of its own."""
    if scale == 1:
        return nn.Identity()
    return Pool[Pool.AVG, spatial_dims](scale) if coarser else interpolation(spatial_dims, scale)


def _check(scale: int, width: int) -> None:
    if scale not in _FINER:
        raise UsageError(
            f"A ScalingUNet has scale 1, 2 or 4, found {scale}: choose one, with coarser=true for the way back."
        )
    if width < 2 or width % 2:
        raise UsageError(f"A ScalingUNet ends in half its width, which must be even, found {width}: use {width + 1}.")
