"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math
from functools import partial

import torch

from rockmonai.metrics.per_image import PerImageMetric, check_same_shape
from rockmonai.metrics.regions import check_region, mean_within


def psnr(
    pred: torch.Tensor, label: torch.Tensor, data_range: float = 2.0, within: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the peak signal-to-noise ratio of each image, (B,) in decibels.

    An image that equals its label has infinite PSNR; that is its value, not an error.

    Args:
        pred: images, (B, C, ...), any dtype.
        label: what they should be, same shape.
        data_range: largest minus smallest value that a pixel can take, 2 for images in [-1, 1]. Naming 2 for images
            in [0, 1] flatters them by 6.02 dB.
        within: mask (B, 1, ...) of the region to judge, NaN for an image that has none of it; None for all voxels.

    Raises:
        DataError: for unequal shapes.
    """
    check_same_shape(pred, label)
    check_region(within, pred)
    error = mean_within((pred.float() - label.float()).square(), within)
    return 20 * math.log10(data_range) - 10 * error.log10()


class PSNR(PerImageMetric):
    """Mean of :func:`psnr` over images, for a MONAI evaluator.

    Args:
        of: key of the images that are judged.
        against: key of what they should be.
        data_range: largest minus smallest value that a pixel can take.
        within: key of the mask of a region, to judge nothing else; None for whole images.
    """

    def __init__(
        self, of: str = "pred", against: str = "label", data_range: float = 2.0, within: str | None = None
    ) -> None:
        super().__init__(partial(psnr, data_range=data_range), of, against, within)
