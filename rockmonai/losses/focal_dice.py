"""Focal variants of Dice loss and cross-entropy with which shale segmentations were published."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from rockmonai.errors import UsageError
from rockmonai.losses.class_map import check_class_map


def focal_dice_loss(pred: torch.Tensor, label: torch.Tensor, alpha: float = 0.25, gamma: float = 2.0) -> torch.Tensor:
    r"""Return the focal Dice loss of one class, a scalar.

    .. math:: L = \bar{a} \, (1 - e^{-D})^\gamma \, D, \qquad
              D = 1 - \frac{2 \sum p t + 1}{\sum p + \sum t + 1}, \qquad
              \bar{a} = \alpha \bar{t} + (1 - \alpha) (1 - \bar{t})

    with the probabilities :math:`p` and the labels :math:`t` of all voxels of the batch. D is one number, so that
    ``alpha`` scales the whole loss and weighs no voxel against another.

    Args:
        pred: logits (B, 1, ...).
        label: 1 where the class is, 0 elsewhere, same shape, any dtype.
        alpha: from 0 to 1, how much the class counts in the factor of the loss.
        gamma: how much less a good batch counts than a bad one; 0 leaves the Dice loss times the factor.

    Raises:
        DataError: for unequal shapes, or labels outside [0, 1].
    """
    check_class_map(label, pred.shape, classes=2)
    logits, target = pred.float(), label.float()
    positive, negative = logits.sigmoid(), (-logits).sigmoid()
    # 1 - (2 pt + 1) / (p + t + 1) without the difference, which cancels when the prediction is good.
    wrong = (positive * (1 - target) + negative * target).sum()
    dice = wrong / (positive.sum() + target.sum() + 1)
    share = target.mean()
    return (alpha * share + (1 - alpha) * (1 - share)) * _focal(dice, gamma)


def focal_dice_loss_multi(
    pred: torch.Tensor, label: torch.Tensor, gamma: float = 2.0, weight: Sequence[float] | torch.Tensor | None = None
) -> torch.Tensor:
    r"""Return the focal Dice loss of many classes, the mean over the voxels, a scalar.

    .. math:: L = \left\langle w_t \, (1 - e^{-d})^\gamma \, d \right\rangle, \qquad
              d = 1 - \frac{2 p_t + 1}{3} = \tfrac{2}{3} (1 - p_t)

    with the probability :math:`p_t` of the class that a voxel has. Every voxel is its own Dice loss and pays less
    than 2/3 of its weight.

    Args:
        pred: logits (B, C, ...).
        label: class numbers (B, 1, ...), any dtype.
        gamma: how much less a good voxel counts than a bad one.
        weight: of each class, (C,), see :func:`~rockmonai.losses.class_weights`; the mean is over the voxels, not
            over the weights. None weighs all alike.

    Raises:
        DataError: for a label of another shape, or a class without a channel.
        UsageError: for more or fewer weights than channels.
    """
    entropy = F.cross_entropy(pred.float(), _numbers(pred, label), reduction="none")
    loss = _focal(-2 / 3 * torch.expm1(-entropy), gamma)
    if weight is not None:
        weights = torch.as_tensor(weight, dtype=loss.dtype, device=loss.device)
        if weights.shape != pred.shape[1:2]:
            raise UsageError(f"There must be a weight for each of {pred.shape[1]} classes, found {weights.tolist()}.")
        loss = weights[_numbers(pred, label)] * loss
    return loss.mean()


def focal_loss_multi(pred: torch.Tensor, label: torch.Tensor, gamma: float = 2.0) -> torch.Tensor:
    r"""Return the focal value of the mean cross-entropy, :math:`L = (1 - e^{-CE})^\gamma \, CE`, a scalar.

    Args:
        pred: logits (B, C, ...).
        label: class numbers (B, 1, ...), any dtype.
        gamma: how much less a good batch counts than a bad one; 0 leaves the cross-entropy.

    Raises:
        DataError: for a label of another shape, or a class without a channel.
    """
    return _focal(F.cross_entropy(pred.float(), _numbers(pred, label)), gamma)


def _focal(loss: torch.Tensor, gamma: float) -> torch.Tensor:
    """Return ``(1 - exp(-loss)) ** gamma * loss``."""
    # At 0 the slope of a broken power is infinite, and times 0 it would be NaN.
    return (-torch.expm1(-loss)).clamp_min(torch.finfo(loss.dtype).tiny) ** gamma * loss


def _numbers(pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return the class of every voxel, (B, ...) int64."""
    check_class_map(label, (len(pred), 1, *pred.shape[2:]), pred.shape[1])
    return label[:, 0].long()


class FocalDiceLoss(nn.Module):
    """:func:`focal_dice_loss` as a loss of ``(pred, label)``, to repeat published trainings of one class.

    MONAI's ``DiceFocalLoss(sigmoid=True)`` adds a Dice loss per image to the focal loss of each voxel
    (https://arxiv.org/abs/1708.02002), whose ``alpha`` does balance the classes: prefer it for a new model.

    Args:
        alpha: from 0 to 1, how much the class counts in the factor of the loss.
        gamma: how much less a good batch counts than a bad one.
    """

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0) -> None:
        super().__init__()
        self.alpha = alpha
        self.gamma = gamma

    def forward(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar."""
        return focal_dice_loss(pred, label, self.alpha, self.gamma)


class FocalDiceLossMulti(nn.Module):
    """:func:`focal_dice_loss_multi` as a loss of ``(pred, label)``, to repeat published trainings of many classes.

    It is bounded, so that a voxel which is surely wrong teaches next to nothing, and it knows no overlap of regions.
    MONAI's ``DiceFocalLoss`` and ``DiceCELoss`` with ``to_onehot_y=True, softmax=True`` are better at both: prefer
    one of them for a new model.

    Args:
        gamma: how much less a good voxel counts than a bad one.
        weight: of each class, (C,); None weighs all alike.
    """

    def __init__(self, gamma: float = 2.0, weight: Sequence[float] | torch.Tensor | None = None) -> None:
        super().__init__()
        self.gamma = gamma
        self.weight = weight

    def forward(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar."""
        return focal_dice_loss_multi(pred, label, self.gamma, self.weight)


class FocalLossMulti(nn.Module):
    """:func:`focal_loss_multi` as a loss of ``(pred, label)``, to repeat published trainings of many classes.

    The focal loss (https://arxiv.org/abs/1708.02002) makes easy voxels count less, voxel by voxel: that is MONAI's
    ``FocalLoss(to_onehot_y=True, use_softmax=True)``, which is to be preferred for a new model. Here the cross-entropy
    is averaged first: the voxels share one factor, and the gradient points where that of the cross-entropy points.

    Args:
        gamma: how much less a good batch counts than a bad one.
    """

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar."""
        return focal_loss_multi(pred, label, self.gamma)
