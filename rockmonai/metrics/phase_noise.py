"""How noisy an image is where the rock is uniform, for which no clean image of the same place is needed."""

from __future__ import annotations

from functools import partial

import torch
from monai.networks.layers import Pool

from rockmonai.metrics.per_image import PerImageMetric
from rockmonai.metrics.regions import check_region


def phase_noise(pred: torch.Tensor, label: torch.Tensor, phase: int, margin: int = 2) -> torch.Tensor:
    """Return the standard deviation of the greys inside a class, away from its boundaries, (B,), in these greys.

    It holds the noise and whatever else varies within the class. The border of the image is no boundary. NaN for an
    image with no voxel of the class that is deep enough.

    Args:
        pred: images, (B, C, [Z,] Y, X), any dtype; of several channels the root mean square is taken.
        label: numbers of classes on the same grid, (B, 1, [Z,] Y, X), any dtype.
        phase: number of the class.
        margin: voxels of another class are farther away than so many voxels along some axis, from 0: more than the
            blur of the image reaches.

    Raises:
        DataError: for unequal shapes, or several channels of classes.
    """
    check_region(label, pred)
    widest = Pool[Pool.MAX, pred.ndim - 2](2 * margin + 1, 1, margin)
    inside = 1 - widest((label != phase).float()).double().flatten(2)
    greys, count = pred.double().flatten(2), inside.sum(2, keepdim=True)
    mean = (greys * inside).sum(2, keepdim=True) / count
    variance = ((greys - mean).square() * inside).sum(2, keepdim=True) / count
    return variance.flatten(1).mean(1).sqrt().float()


class PhaseNoise(PerImageMetric):
    """Mean of :func:`phase_noise` over the images that hold enough of the class, for a MONAI evaluator.

    Args:
        phase: number of the class.
        margin: how many voxels its boundaries are kept away from.
        of: key of the images that are judged.
        against: key of their class maps.
    """

    def __init__(self, phase: int, margin: int = 2, of: str = "pred", against: str = "semantic") -> None:
        super().__init__(partial(phase_noise, phase=phase, margin=margin), of, against)
