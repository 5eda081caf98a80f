"""A loss of one class against the rest, for each class in turn."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from rockmonai.losses.class_map import check_class_map


class OneVsRest(nn.Module):
    """The mean over the channels of a binary loss between a channel's logits and where its class is.

    Trains networks of one class each, or one network whose channels do not exclude each other.

    Args:
        loss: any callable of logits (B, 1, ...) and a mask of 0 and 1, float32 of the same shape, that returns a
            scalar: :class:`~rockmonai.losses.FocalDiceLoss`, torch's ``BCEWithLogitsLoss``, MONAI's
            ``DiceFocalLoss(sigmoid=True)``.

    Example:
        >>> loss = OneVsRest(torch.nn.BCEWithLogitsLoss())
        >>> loss(torch.zeros(1, 4, 8, 8), torch.zeros(1, 1, 8, 8))
        tensor(0.6931)
    """

    def __init__(self, loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the mean loss, a scalar.

        Args:
            pred: logits (B, C, ...).
            label: class numbers (B, 1, ...), any dtype.

        Raises:
            DataError: for a label of another shape, or a class without a channel.
        """
        check_class_map(label, (len(pred), 1, *pred.shape[2:]), pred.shape[1])
        channels = pred.float().split(1, dim=1)
        losses = [self.loss(logits, (label == number).float()) for number, logits in enumerate(channels)]
        return torch.stack(losses).mean()
