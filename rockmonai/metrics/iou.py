"""Intersection over union of class maps."""

from __future__ import annotations

from functools import partial

import torch

from rockmonai.errors import DataError
from rockmonai.metrics.per_image import PerImageMetric, check_same_shape


def iou(pred: torch.Tensor, label: torch.Tensor, phase: int | None = None) -> torch.Tensor:
    """Return the intersection over union (Jaccard index) of each image with its label, (B,), from 0 to 1.

    Of one class, or the mean of those that are in the image or in its label. A class that is in neither says nothing:
    its index is NaN. One that only the prediction or only the label has is 0.

    Args:
        pred: numbers of classes, (B, 1, ...), any dtype.
        label: what they should be, same shape.
        phase: number of the class; None for the mean of all classes.

    Raises:
        DataError: for unequal shapes, or several channels.
    """
    check_same_shape(pred, label)
    if pred.shape[1] != 1:
        raise DataError(f"Class maps have one channel, found {tuple(pred.shape)}: take the argmax of logits before.")
    phases = torch.cat([pred.unique(), label.unique()]).unique().tolist() if phase is None else [phase]
    return torch.stack([_jaccard(pred == number, label == number) for number in phases]).nanmean(0)


def _jaccard(pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return the voxels in both of two masks over those in either, (B,); NaN where there are none."""
    both, either = (mask.flatten(1).sum(1).double() for mask in (pred & label, pred | label))
    return (both / either).float()


class IoU(PerImageMetric):
    """Mean of :func:`iou` over images, for a MONAI evaluator.

    Args:
        of: key of the class maps that are judged.
        against: key of what they should be.
        phase: number of the class that is judged; None for the mean of all classes.
    """

    def __init__(self, of: str = "pred", against: str = "label", phase: int | None = None) -> None:
        super().__init__(partial(iou, phase=phase), of, against)
