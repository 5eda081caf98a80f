"""PSNR and SSIM of 8-bit images with scikit-image's defaults: the protocol of the published TXM-to-SEM figures."""

from __future__ import annotations

import math

import torch

from rockmonai.metrics.per_image import PerImageMetric
from rockmonai.metrics.psnr import psnr
from rockmonai.metrics.ssim import windowed_ssim

WINDOW = 7


def eight_bit(x: torch.Tensor) -> torch.Tensor:
    """Return values in [-1, 1] as the uint8 greys 0 to 255: clipped, then cut off rather than rounded.

    That is how the figures were published. A grey that was a byte before it was scaled to [-1, 1] may so come back as
    the next lower one, wherever a rounding error fell below the whole number.
    """
    return ((x.float() + 1) / 2 * 255).clamp(0, 255).to(torch.uint8)


def psnr_8bit(pred: torch.Tensor, label: torch.Tensor, within: torch.Tensor | None = None) -> torch.Tensor:
    """Return the peak signal-to-noise ratio of each image in eight bits, (B,) in decibels.

    Args:
        pred: images (B, C, ...) in [-1, 1].
        label: what they should be, same shape.
        within: mask (B, 1, ...) of the region to judge, NaN for an image that has none of it; None for all voxels.

    Raises:
        DataError: for unequal shapes.
    """
    return psnr(eight_bit(pred), eight_bit(label), 255, within)


def ssim_8bit(pred: torch.Tensor, label: torch.Tensor, within: torch.Tensor | None = None) -> torch.Tensor:
    """Return the structural similarity of each image to its label in eight bits, (B,).

    As ``skimage.metrics.structural_similarity`` computes it by default: a uniform window of 7 voxels, the covariance
    of a sample (divided by one less than the number of voxels), K1 = 0.01, K2 = 0.03.

    Args:
        pred: images or volumes (B, C, [Z,] Y, X) in [-1, 1].
        label: what they should be, same shape.
        within: mask (B, 1, [Z,] Y, X): the average is over the windows whose centres lie in it, NaN for an image that
            has none; None for all windows.

    Raises:
        DataError: for unequal shapes, or an image smaller than the window.
    """
    voxels = WINDOW ** (pred.ndim - 2)
    # A sample's covariance is the population's times voxels / (voxels - 1), which K2 can take on: only ratios count.
    k2 = 0.03 * math.sqrt((voxels - 1) / voxels)
    return windowed_ssim(eight_bit(pred), eight_bit(label), within, WINDOW, 255, kernel_type="uniform", k2=k2)


class PSNR8bit(PerImageMetric):
    """Mean of :func:`psnr_8bit` over images, for a MONAI evaluator.

    Args:
        of: key of the images that are judged.
        against: key of what they should be.
        within: key of the mask of a region, to judge nothing else; None for whole images.
    """

    def __init__(self, of: str = "pred", against: str = "label", within: str | None = None) -> None:
        super().__init__(psnr_8bit, of, against, within)


class SSIM8bit(PerImageMetric):
    """Mean of :func:`ssim_8bit` over images or volumes, for a MONAI evaluator.

    Args:
        of: key of the images that are judged.
        against: key of what they should be.
        within: key of the mask of a region, to judge nothing else; None for whole images.
    """

    def __init__(self, of: str = "pred", against: str = "label", within: str | None = None) -> None:
        super().__init__(ssim_8bit, of, against, within)
