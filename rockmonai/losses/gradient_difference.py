"""Comparing how steep the edges of two images are, so that blurred edges cost more than in a loss of the greys."""

from __future__ import annotations

import torch
from torch import nn

from rockmonai.errors import DataError
from rockmonai.metrics.per_image import check_same_shape


def gradient_difference_loss(pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    r"""Return the squared difference of the steepness of two images, summed over the axes, a scalar.

    .. math:: L = \sum_a \left\langle \left( |D_a label| - |D_a pred| \right)^2 \right\rangle

    with the difference :math:`D_a` between neighbours along axis :math:`a`. Mathieu, Couprie, LeCun, Deep multi-scale
    video prediction beyond mean square error, https://arxiv.org/abs/1511.05440, with their exponent 2. A constant
    added to the prediction, or a negative of it, costs nothing, and where the prediction is flat there is no gradient
    to follow: it belongs beside a pixel loss.

    Args:
        pred: images or volumes (B, C, [Z,] Y, X), 2 voxels or more along each axis.
        label: what they should be, same shape.

    Raises:
        DataError: for unequal shapes, or an axis of a single voxel.
    """
    check_same_shape(pred, label)
    if min(pred.shape[2:]) < 2:
        raise DataError(
            f"A voxel has no neighbours along an axis of one, found images of {tuple(pred.shape[2:])} voxels: take "
            "larger patches."
        )
    pred, label = pred.float(), label.float()
    along = [label.diff(dim=axis).abs() - pred.diff(dim=axis).abs() for axis in range(2, pred.ndim)]
    return torch.stack([difference.square().mean() for difference in along]).sum()


class GradientDifferenceLoss(nn.Module):
    """:func:`gradient_difference_loss` as a loss of ``(pred, label)``."""

    def forward(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar."""
        return gradient_difference_loss(pred, label)
