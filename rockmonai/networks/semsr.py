"""SemSR: super-resolution whose features a class map, and if wanted a depth map, scales and shifts stage by stage."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.layers.utils import get_act_layer
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks.init import init_weights
from rockmonai.networks.layers import (
    SubpixelStep,
    bias_before,
    check_residual,
    interpolation,
    normalisation,
    same_convolution,
)


class SemSR(nn.Module):
    """Returns an image or volume that is ``scale`` times finer per axis, guided by a class map of the coarse one.

    A map of the classes modulates the features of the image, as in the spatial feature transform (Wang et al.,
    https://arxiv.org/abs/1804.02815), here with one map for scale and shift and with a larger kernel in every stage.
    Borders are mirrored. Its receptive field is finite, so that large volumes can be tiled exactly, unless ``norm``
    measures the image itself (instance, group).

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the coarse image.
        semantic_channels: channels of the class map, one for each class, or 1 for a map of greys.
        out_channels: channels of the fine image.
        scale: factor per axis, a power of 2.
        width: channels inside; cost grows with its square.
        kernels: side of the kernels of each stage, odd; the longest needs images wider than half of it.
        norm: MONAI's name of the normalisation, such as ``"batch"`` or ``"instance"``; ``None`` for none.
            Convolutions have a bias unless it is batch norm; the last one always has.
        dropout: probability inside the stages; the published networks were trained with 0.5.
        final: activation of the output, ``"tanh"`` for images in [-1, 1]; ``None`` leaves it unbounded.
        residual: predict the difference from the interpolated image (bicubic in 2D, trilinear in 3D) instead of the
            image itself; a small network then learns in minutes. Needs ``final=None`` and equal channels.
        init: how the weights start, see :func:`rockmonai.networks.init_weights`.
        init_gain: its gain.
        legacy_stage5: let the fifth stage read image and map with the second's layers, for weights trained so; those
            of its own are there, and idle.
        depth_channels: channels of a depth map that guides beside the class map; 0 for none.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)``, ``(B, semantic_channels, [Z,] Y, X)`` and, where it has one,
        ``(B, depth_channels, [Z,] Y, X)``, or one tensor of all their channels in this order, to
        ``(B, out_channels, [scale Z,] scale Y, scale X)``.

    Attributes:
        multiple: sides of images are multiples of this.
        in_channels: of image and maps together.

    Raises:
        UsageError: for a scale or a legacy wiring that has no network; when called with another number of channels.
    """

    multiple = 1
    __constants__ = ("legacy_stage5",)  # so that TorchScript does not look for a second stage where there is none

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        semantic_channels: int = 3,
        out_channels: int = 1,
        scale: int = 4,
        width: int = 64,
        kernels: Sequence[int] = (3, 5, 7, 9, 11),
        norm: str | tuple | None = "batch",
        dropout: float = 0.0,
        final: str | None = "tanh",
        residual: bool = False,
        init: str = "normal",
        init_gain: float = 0.02,
        legacy_stage5: bool = False,
        depth_channels: int = 0,
    ) -> None:
        super().__init__()
        if scale < 1 or scale & (scale - 1):
            raise UsageError(f"SemSR cannot reach scale {scale} by doubling: choose 1, 2, 4 or 8.")
        if legacy_stage5 and (len(kernels) != 5 or depth_channels):
            raise UsageError(
                f"legacy_stage5 needs 5 kernels and no depth, found {len(kernels)} and {depth_channels} channels."
            )
        if residual:
            check_residual(self, final, in_channels, out_channels)
        self.legacy_stage5 = legacy_stage5
        self.channels = (in_channels, semantic_channels, depth_channels)
        self.in_channels = sum(self.channels)
        later = (width, width, width if depth_channels else 0)
        bias = bias_before(norm)
        self.stages = nn.ModuleList(
            Stage(spatial_dims, later if number else self.channels, width, kernel, norm, dropout)
            for number, kernel in enumerate(kernels)
        )
        self.body = nn.Sequential(
            same_convolution(spatial_dims, width, width, bias=bias), normalisation(norm, spatial_dims, width)
        )
        steps = scale.bit_length() - 1
        self.upsample = nn.Sequential(
            *(SubpixelStep(spatial_dims, width, 2, "prelu", bias, "zeros") for _ in range(steps))
        )
        self.tail = nn.Sequential(
            same_convolution(spatial_dims, width, out_channels, 7), get_act_layer(final) if final else nn.Identity()
        )
        self.interpolate = interpolation(spatial_dims, scale) if residual else None
        init_weights(self, init, init_gain)

    def forward(
        self, image: torch.Tensor, semantic: torch.Tensor | None = None, depth: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the fine image of a coarse ``image`` and its guides, on one grid or already in one tensor."""
        for guide in (semantic, depth):
            if guide is not None:
                image = torch.cat([image, guide], 1)
        if not torch.jit.is_scripting():
            _check_channels(image, self.channels)
        grey, classes, _ = self.channels
        image, semantic, depth = image[:, :grey], image[:, grey : grey + classes], image[:, grey + classes :]
        features = image
        for number, stage in enumerate(self.stages):
            if self.legacy_stage5 and number == 4:
                features, semantic, depth = self.stages[1].encoded(features, semantic, depth)  # type: ignore[operator]
            else:
                features, semantic, depth = stage.encoded(features, semantic, depth)  # type: ignore[operator]
            features = stage(features, semantic, depth)
        pred = self.tail(self.upsample(self.body(features)))
        if self.interpolate is not None:
            pred = pred + self.interpolate(image)
        return pred


class Stage(nn.Module):
    """Returns features of the image plus what those of a class map, and of a depth map if it has one, make of them."""

    def __init__(
        self, dims: int, channels: Sequence[int], width: int, kernel: int, norm: str | tuple | None, dropout: float
    ) -> None:
        super().__init__()

        def convolution(inside: int = width) -> nn.Module:
            return same_convolution(dims, inside, width, kernel, bias_before(norm))

        def encoder(inside: int) -> nn.Sequential:
            return nn.Sequential(convolution(inside), nn.PReLU(), convolution())

        def normalised(*layers: nn.Module) -> nn.Sequential:
            return nn.Sequential(convolution(), normalisation(norm, dims, width), *layers)

        def guide(inside: int) -> nn.ModuleDict:
            first = normalised(nn.PReLU(), nn.Dropout(dropout) if dropout else nn.Identity())
            return nn.ModuleDict({"encoder": encoder(inside), "first": first, "second": normalised()})

        image, semantic, depth = channels
        self.image = encoder(image).append(nn.PReLU())
        self.semantic = guide(semantic)
        self.depth = guide(depth) if depth else None

    def encoded(
        self, image: torch.Tensor, semantic: torch.Tensor, depth: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the features of the image, of the class map and of the depth map."""
        if self.depth is not None:
            depth = self.depth["encoder"](depth)
        return self.image(image), self.semantic["encoder"](semantic), depth

    def forward(self, image: torch.Tensor, semantic: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        """Return the features of the image, guided by those of the maps."""
        inner = self.semantic["first"](modulated(image, semantic))
        added = self.semantic["second"](modulated(inner, semantic))
        if self.depth is not None:
            deep = self.depth["first"](modulated(image, depth))
            added = 0.5 * (added + self.depth["second"](modulated(inner, deep)))
        return image + added


def modulated(features: torch.Tensor, guide: torch.Tensor) -> torch.Tensor:
    """Return ``features`` scaled and shifted by ``guide``."""
    return guide * features + guide


def _check_channels(image: torch.Tensor, channels: tuple[int, int, int]) -> None:
    # What traces the layers of a network hands over a stand-in without sides.
    if isinstance(image, torch.Tensor) and image.shape[1] != sum(channels):
        raise UsageError(
            f"This SemSR takes {channels[0]} channels of the image, {channels[1]} of the class map and {channels[2]} "
            f"of depth, found {image.shape[1]} altogether: give it the maps it was built for, classes one-hot."
        )
