"""Structural similarity."""

from __future__ import annotations

from functools import partial

import torch
from monai.metrics.regression import compute_ssim_and_cs

from rockmonai.errors import DataError
from rockmonai.metrics.per_image import PerImageMetric, check_same_shape

WINDOW = 11
SIGMA = 1.5


def ssim(pred: torch.Tensor, label: torch.Tensor, data_range: float = 2.0) -> torch.Tensor:
    """Return the structural similarity of each image to its label, (B,), 1 for equal ones.

    Wang et al., 2004, https://doi.org/10.1109/TIP.2003.819861, as MONAI computes it: a Gaussian window of 11 voxels
    and sigma 1.5, K1 = 0.01, K2 = 0.03, averaged over the window positions that lie wholly inside the image.
    scikit-image agrees with ``gaussian_weights=True, use_sample_covariance=False`` once 5 voxels of border are left
    out; its default, a uniform window of 7, gives other numbers.

    Args:
        pred: images or volumes, (B, C, [Z,] Y, X).
        label: what they should be, same shape.
        data_range: largest minus smallest value that a voxel can take, 2 for images in [-1, 1].

    Raises:
        DataError: for unequal shapes, or an image smaller than the window.
    """
    check_same_shape(pred, label)
    shape = pred.shape[2:]
    if min(shape) < WINDOW:
        raise DataError(
            f"SSIM looks through a window of {WINDOW} voxels a side, found an image of {' x '.join(map(str, shape))}: "
            "judge larger images, or leave SSIM out."
        )
    dims = len(shape)
    local, _ = compute_ssim_and_cs(pred, label, dims, (WINDOW,) * dims, (SIGMA,) * dims, data_range)
    return local.flatten(1).mean(1)


class SSIM(PerImageMetric):
    """Mean of :func:`ssim` over images or volumes, for a MONAI evaluator.

    Args:
        of: key of the images that are judged.
        against: key of what they should be.
        data_range: largest minus smallest value that a voxel can take.
    """

    def __init__(self, of: str = "pred", against: str = "label", data_range: float = 2.0) -> None:
        super().__init__(partial(ssim, data_range=data_range), of, against)
