"""Whether a prediction still says what its input says: a guard against details that a network invents."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from rockmonai.errors import DataError
from rockmonai.metrics.per_image import PerImageMetric

# The variance that rounding leaves in an image of one grey in [-1, 1].
_NOTHING = 1e-14


def downsampling_error(pred: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Return how far each prediction, averaged over the voxels of its input, is from that input, (B,), from 0.

    The root mean square of the difference, in standard deviations of the input: 0 for a prediction that adds nothing
    but details below the input's voxels, 1 for one grey everywhere, 1.4 for another rock of the same greys. A network
    that takes noise away is as far from its input as that noise; one that changes the greys of all phases, too, so that
    it needs no label but must be read beside :func:`contrast_correlation`. NaN where the input has one grey only.

    Args:
        pred: images, (B, C, [Z,] Y, X), any dtype.
        image: what they were made of, its sides a whole number of times shorter, or longer: whichever is finer is
            averaged.

    Raises:
        DataError: where the sides are no such multiples, or the channels differ.
    """
    pred, image = _on_the_coarser_grid(pred, image)
    variance = image.var(1, correction=0)
    error = ((pred - image).square().mean(1) / variance).sqrt()
    return error.where(variance > _NOTHING, torch.nan).float()


def contrast_correlation(pred: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Return Pearson's correlation of each prediction, averaged over the voxels of its input, with it, (B,).

    From -1 to 1. Unpaired training may turn bright into dark, which a cycle turns back unnoticed: below 0 the contrast
    is inverted. For greys of mean 0 that is where a prediction is nearer to the negative of its input than to the input
    itself. Unrelated images are within 2 / sqrt(n) of 0, with n the number of independent voxels. NaN where either has
    one grey only.

    Args:
        pred: images, (B, C, [Z,] Y, X), any dtype.
        image: what they were made of, on a grid as for :func:`downsampling_error`.

    Raises:
        DataError: as for :func:`downsampling_error`.
    """
    pred, image = (values - values.mean(1, keepdim=True) for values in _on_the_coarser_grid(pred, image))
    variances = pred.square().mean(1), image.square().mean(1)
    correlation = (pred * image).mean(1) / (variances[0] * variances[1]).sqrt()
    return correlation.where(torch.minimum(*variances) > _NOTHING, torch.nan).float()


def _on_the_coarser_grid(pred: torch.Tensor, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the values of both, (B, N), averaged over the voxels of the coarser one."""
    sides = list(zip(pred.shape[2:], image.shape[2:], strict=False))
    if (
        pred.ndim != image.ndim
        or pred.shape[:2] != image.shape[:2]
        or any(max(pair) % max(min(pair), 1) for pair in sides)
    ):
        raise DataError(
            f"A prediction {tuple(pred.shape)} is no whole number of times as fine as its input {tuple(image.shape)}: "
            "compare images (B, C, [Z,] Y, X) whose sides are multiples of each other."
        )
    size = [min(pair) for pair in sides]
    fine, coarse = (F.interpolate(values.double(), size, mode="area").flatten(1) for values in (pred, image))
    return fine, coarse


class Consistency:
    """Both of these numbers for a volume that is seen piece by piece, whose pieces count as one image."""

    def __init__(self) -> None:
        self._sums = torch.zeros(6, dtype=torch.float64)

    def add(self, pred: torch.Tensor, image: torch.Tensor) -> None:
        """Take a piece of the prediction, (B, C, [Z,] Y, X), and what it was made of (see the functions above).

        Raises:
            DataError: as for :func:`downsampling_error`.
        """
        p, i = (values.flatten() for values in _on_the_coarser_grid(pred, image))
        self._sums += torch.stack([torch.ones_like(p).sum(), p.sum(), i.sum(), p @ p, i @ i, p @ i]).cpu()

    def merge(self, other: Consistency) -> None:
        """Take all pieces that another one has seen."""
        self._sums += other._sums

    @property
    def error(self) -> float:
        """The :func:`downsampling_error` of all that was seen; NaN where the image has one grey only."""
        n, _, i, pp, ii, pi = self._sums.tolist()
        variance = ii / n - (i / n) ** 2
        return math.sqrt(max(pp - 2 * pi + ii, 0) / n / variance) if variance > _NOTHING else math.nan

    @property
    def correlation(self) -> float:
        """The :func:`contrast_correlation` of all that was seen; NaN where either has one grey only."""
        n, p, i, pp, ii, pi = self._sums.tolist()
        variances = pp / n - (p / n) ** 2, ii / n - (i / n) ** 2
        return (pi / n - p * i / n**2) / math.sqrt(math.prod(variances)) if min(variances) > _NOTHING else math.nan


class DownsamplingError(PerImageMetric):
    """Mean of :func:`downsampling_error` over the images with more than one grey, for a MONAI evaluator.

    Args:
        of: key of the images that are judged.
        against: key of what they were made of.
    """

    def __init__(self, of: str = "pred", against: str = "image") -> None:
        super().__init__(downsampling_error, of, against)


class ContrastCorrelation(PerImageMetric):
    """Mean of :func:`contrast_correlation` over the images with more than one grey, for a MONAI evaluator.

    Args:
        of: key of the images that are judged.
        against: key of what they were made of.
    """

    def __init__(self, of: str = "pred", against: str = "image") -> None:
        super().__init__(contrast_correlation, of, against)
