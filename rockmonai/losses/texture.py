"""Comparing which greys lie beside which: the texture of images, wherever in them it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import nn
from torch.nn import functional as F

from rockmonai.errors import DataError, UsageError
from rockmonai.metrics.per_image import check_same_shape


def cooccurrence(images: torch.Tensor, levels: int = 16, distances: Sequence[int] = (1, 2)) -> torch.Tensor:
    """Return how often a grey lies beside another: symmetric matrices that sum to 1, (B, C, offsets, levels, levels).

    These are the grey-level co-occurrence matrices of Haralick, Shanmugam, Dinstein, Textural features for image
    classification, https://doi.org/10.1109/TSMC.1973.4309314, made differentiable: a grey between two levels counts
    as both, in proportion to its nearness. Training needs about ten times ``levels`` times the memory of the images,
    however many offsets there are.

    Args:
        images: greys (B, C, [Z,] Y, X) in [-1, 1]; what is outside counts as black or white.
        levels: number of grey levels, evenly spaced from -1 to 1.
        distances: of the two voxels, counted along each axis that tells them apart, so that a diagonal of 1 is as
            long as the root of 2. Each comes with all directions that differ in more than their sign, 4 in an image
            and 13 in a volume; the offsets of the first distance come first.

    Raises:
        UsageError: for fewer than two levels, or a distance below 1.
        DataError: for images that are not larger than the distances.
    """
    if levels < 2 or not distances or min(distances) < 1:
        raise UsageError(
            "A co-occurrence matrix has 2 or more levels and distances of 1 voxel or more, found "
            f"levels={levels}, distances={tuple(distances)}."
        )
    shape, reach = images.shape[2:], max(distances)
    if min(shape) <= reach:
        raise DataError(
            f"Voxels {reach} apart do not exist along every axis of images of {tuple(shape)} voxels: take larger "
            "patches or smaller distances."
        )
    with torch.autocast(images.device.type, enabled=False):
        belongs, strides = _memberships(images, levels, reach)
        matrices = []
        for distance, direction in product(distances, _directions(len(shape))):
            # In rows that end in `reach` voxels of no level, an offset is one shift, whatever its direction.
            shift = distance * sum(step * stride for step, stride in zip(direction, strides, strict=True))
            pairs = belongs[..., :-shift] @ belongs[..., shift:].mT
            pairs = pairs + pairs.mT
            matrices.append(pairs / pairs.sum((-2, -1), keepdim=True))
    return torch.stack(matrices, 1).unflatten(0, images.shape[:2])


def texture_loss(
    pred: torch.Tensor, label: torch.Tensor, levels: int = 16, distances: Sequence[int] = (1, 2)
) -> torch.Tensor:
    r"""Return the distance of the co-occurrence matrices of two batches, a scalar from 0 to 1.

    .. math:: L = \left\langle \tfrac{1}{n^2 - 1} \sum_{ij} \left| C_{ij}(pred) - C_{ij}(label) \right| \right\rangle

    the mean over images, channels and offsets, where :math:`C_{ij}` is the share of pairs whose greys are at most
    those of the levels i and j: the matrices of :func:`cooccurrence`, summed along both axes, of n levels. Distribution
    functions tell how far apart greys are, as Wasserstein's distance does, so that a prediction without any texture is
    drawn towards that of the label, however far away; 1 is black against white. The same texture elsewhere costs next
    to nothing, so that it belongs beside a pixel loss.

    Args:
        pred: greys (B, C, [Z,] Y, X) in [-1, 1]; there is no gradient outside.
        label: what they should be, same shape.
        levels: number of grey levels; texture that is finer than the step between two of them is hardly told apart.
        distances: of the pairs, in voxels.

    Raises:
        UsageError: for fewer than two levels, or a distance below 1.
        DataError: for unequal shapes, or images that are not larger than the distances.
    """
    check_same_shape(pred, label)
    difference = cooccurrence(pred, levels, distances) - cooccurrence(label, levels, distances)
    return difference.cumsum(-2).cumsum(-1).abs().sum((-2, -1)).mean() / (levels**2 - 1)


def _memberships(images: torch.Tensor, levels: int, reach: int) -> tuple[torch.Tensor, list[int]]:
    """Return how much each voxel belongs to each level, (B C, levels, voxels), and how far apart neighbours are in it.

    Every axis but the first is ``reach`` voxels longer than that of the images; these belong to no level.
    """
    greys = images.to(torch.promote_types(images.dtype, torch.float32)).flatten(0, 1)
    level = (greys.clamp(-1, 1) + 1) / 2 * (levels - 1)
    padded = F.pad(level, (0, reach) * (level.ndim - 2), value=-2.0)
    strides = [math.prod(padded.shape[axis + 1 :]) for axis in range(1, padded.ndim)]
    voxels, number = padded.flatten(1)[:, None], torch.arange(levels, device=padded.device)[:, None]
    # A grey at a level has a gradient, too, as if it were above it, or below white.
    below = voxels.detach().floor().clamp(max=levels - 2)
    above = voxels - below
    return (number == below) * (1 - above) + (number == below + 1) * above, strides


def _directions(dims: int) -> list[tuple[int, ...]]:
    """Return the steps to half of the neighbours of a voxel; the other half lies opposite."""
    return [step for step in product((-1, 0, 1), repeat=dims) if step > (0,) * dims]


class TextureLoss(nn.Module):
    """:func:`texture_loss` as a loss of ``(pred, label)``.

    Args:
        levels: number of grey levels.
        distances: of the pairs, in voxels.
    """

    def __init__(self, levels: int = 16, distances: Sequence[int] = (1, 2)) -> None:
        super().__init__()
        self.levels = levels
        self.distances = distances

    def forward(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar."""
        return texture_loss(pred, label, self.levels, self.distances)
