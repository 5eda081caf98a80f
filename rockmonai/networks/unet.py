"""The U-Net of segmentation: double convolutions, max-pooling down, interpolation and skips back up; returns logits."""

from __future__ import annotations

import torch
from monai.networks.layers import Pool
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks.layers import check_sides, normalisation, same_convolution


class UNet(nn.Module):
    """Returns a logit for each class and voxel of an image or volume.

    Ronneberger et al., U-Net: convolutional networks for biomedical image segmentation,
    https://arxiv.org/abs/1505.04597, in two or three dimensions, with the borders padded by zeros and the grid refined
    by interpolation. Each level halves the grid and doubles the channels, but for the deepest, which keeps them:
    ``width`` times 1, 2, 4, 8, 8 with 4 levels. Its receptive field is finite, so that large volumes can be tiled
    exactly, unless ``norm`` measures the image itself (instance, group) or ``align_corners`` is set.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: number of classes; 1 for a logit of one class against all others.
        width: channels of the first level; cost grows with its square.
        levels: number of halvings, 1 or more.
        norm: MONAI's name of the normalisation, such as ``"batch"`` or ``"instance"``; ``None`` for none. All
            convolutions have a bias.
        dropout: probability at the end of the way down, where the paper has it.
        align_corners: interpolate such that the corner voxels of both grids coincide, for weights that were trained so.
            A voxel of the output then depends on the size of the image, and no tiling is exact.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)`` to ``(B, out_channels, [Z,] Y, X)``, with sides that are multiples of
        ``2 ** levels``.

    Attributes:
        multiple: sides of images are multiples of this.

    Raises:
        UsageError: for fewer levels than 1; when called with an image whose sides are no such multiples.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 4,
        width: int = 64,
        levels: int = 4,
        norm: str | tuple | None = "batch",
        dropout: float = 0.0,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        if levels < 1:
            raise UsageError(f"A UNet has 1 level or more, found {levels}: choose 4 as published.")
        self.multiple = 2**levels
        widths = [width * 2**level for level in range(levels)]
        # On the way up a level leaves as many channels as the one above adds to them.
        above = [width, *widths[:-1]]
        self.head = DoubleConvolution(spatial_dims, in_channels, width, width, norm)
        self.down = nn.ModuleList(
            nn.Sequential(Pool[Pool.MAX, spatial_dims](2), DoubleConvolution(spatial_dims, outer, inner, inner, norm))
            for outer, inner in zip(widths, [*widths[1:], widths[-1]], strict=True)
        )
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.up = nn.ModuleList(
            Up(spatial_dims, channels, left, norm, align_corners)
            for channels, left in zip(widths[::-1], above[::-1], strict=True)
        )
        self.tail = same_convolution(spatial_dims, width, out_channels, 1, padding_mode="zeros")

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of ``image``; a sigmoid or softmax makes probabilities of them."""
        if not torch.jit.is_scripting():
            check_sides(self, image, self.multiple)
        skipped = [self.head(image)]
        for level in self.down:
            skipped.append(level(skipped[-1]))
        features = self.dropout(skipped.pop())
        for level in self.up:
            features = level(skipped.pop(), features)
        return self.tail(features)


class DoubleConvolution(nn.Sequential):
    """Returns features after two convolutions, each with its norm and ReLU, on the same grid."""

    def __init__(
        self, spatial_dims: int, in_channels: int, between: int, out_channels: int, norm: str | tuple | None
    ) -> None:
        super().__init__(
            same_convolution(spatial_dims, in_channels, between, padding_mode="zeros"),
            normalisation(norm, spatial_dims, between),
            nn.ReLU(),
            same_convolution(spatial_dims, between, out_channels, padding_mode="zeros"),
            normalisation(norm, spatial_dims, out_channels),
            nn.ReLU(),
        )


class Up(nn.Module):
    """Returns ``out_channels`` of a level's skipped features and of as many ``channels`` from the coarser grid."""

    def __init__(
        self, spatial_dims: int, channels: int, out_channels: int, norm: str | tuple | None, align_corners: bool
    ) -> None:
        super().__init__()
        mode = "bilinear" if spatial_dims == 2 else "trilinear"
        self.finer = nn.Upsample(scale_factor=2.0, mode=mode, align_corners=align_corners)
        self.convolutions = DoubleConvolution(spatial_dims, 2 * channels, channels, out_channels, norm)

    def forward(self, skipped: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """Return the features on the grid of ``skipped``."""
        return self.convolutions(torch.cat([skipped, self.finer(coarse)], 1))
