"""Structural similarity."""

from __future__ import annotations

from functools import partial

import torch
from monai.metrics.regression import compute_ssim_and_cs

from rockmonai.errors import DataError
from rockmonai.metrics.per_image import PerImageMetric, check_same_shape
from rockmonai.metrics.regions import check_region, mean_within
from rockmonai.volumes.blocks import in_words

WINDOW = 11
SIGMA = 1.5


def ssim(
    pred: torch.Tensor, label: torch.Tensor, data_range: float = 2.0, within: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the structural similarity of each image to its label, (B,), 1 for equal ones.

    Wang et al., 2004, https://doi.org/10.1109/TIP.2003.819861, as MONAI computes it: a Gaussian window of 11 voxels
    and sigma 1.5, K1 = 0.01, K2 = 0.03, averaged over the window positions that lie wholly inside the image.
    scikit-image agrees with ``gaussian_weights=True, use_sample_covariance=False`` once 5 voxels of border are left
    out; its default, a uniform window of 7, gives other numbers (see :func:`rockmonai.metrics.ssim_8bit`).

    Args:
        pred: images or volumes, (B, C, [Z,] Y, X).
        label: what they should be, same shape.
        data_range: largest minus smallest value that a voxel can take, 2 for images in [-1, 1].
        within: mask (B, 1, [Z,] Y, X) of the region to judge: the average is over the windows whose centres lie in it,
            and NaN for an image that has none; None for all windows.

    Raises:
        DataError: for unequal shapes, or an image smaller than the window.
    """
    return windowed_ssim(pred, label, within, WINDOW, data_range)


def windowed_ssim(
    pred: torch.Tensor,
    label: torch.Tensor,
    within: torch.Tensor | None,
    side: int,
    data_range: float,
    kernel_type: str = "gaussian",
    k2: float = 0.03,
) -> torch.Tensor:
    """Return MONAI's local SSIM, (B,), averaged over the positions of a window of ``side`` voxels a side.

    Raises:
        DataError: for unequal shapes, or an image smaller than the window.
    """
    check_same_shape(pred, label)
    check_region(within, pred)
    shape = pred.shape[2:]
    if min(shape) < side:
        raise DataError(
            f"SSIM looks through a window of {side} voxels a side, found an image of {in_words(shape)}: "
            "judge larger images, or leave SSIM out."
        )
    dims = len(shape)
    local, _ = compute_ssim_and_cs(
        pred, label, dims, (side,) * dims, (SIGMA,) * dims, data_range, kernel_type=kernel_type, k2=k2
    )
    if within is not None:
        within = within[(slice(None), slice(None), *[slice(side // 2, -(side // 2))] * dims)]
    return mean_within(local, within)


class SSIM(PerImageMetric):
    """Mean of :func:`ssim` over images or volumes, for a MONAI evaluator.

    Args:
        of: key of the images that are judged.
        against: key of what they should be.
        data_range: largest minus smallest value that a voxel can take.
        within: key of the mask of a region, to judge nothing else; None for whole images.
    """

    def __init__(
        self, of: str = "pred", against: str = "label", data_range: float = 2.0, within: str | None = None
    ) -> None:
        super().__init__(partial(ssim, data_range=data_range), of, against, within)
