"""Intersection over union of class maps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch

from rockmonai.errors import UsageError, did_you_mean
from rockmonai.metrics.class_maps import check_class_maps, classes_in
from rockmonai.metrics.per_image import PerImageMetric

Absent = Literal["skip", "one"]


def iou(
    pred: torch.Tensor,
    label: torch.Tensor,
    phase: int | None = None,
    absent: Absent = "skip",
    classes: int | None = None,
) -> torch.Tensor:
    """Return the intersection over union (Jaccard index) of each image with its label, (B,), from 0 to 1.

    Of one class, or the mean of those that are in the image or in its label. A class that is in neither says nothing:
    its index is NaN. One that only the prediction or only the label has is 0.

    Args:
        pred: numbers of classes, (B, 1, ...), any dtype.
        label: what they should be, same shape.
        phase: number of the class; None for the mean of all classes.
        absent: ``"one"`` counts a class that is in neither as 1 instead, as some published figures do; that flatters
            images of few classes.
        classes: how many classes the mean is over, those from 0; None for those that are there.

    Raises:
        DataError: for unequal shapes, or several channels.
        UsageError: for an unknown ``absent``, or a mean over absent classes of which nobody said how many they are.
    """
    check_class_maps(pred, label)
    _check_absent(absent, phase, classes)
    numbers: Sequence[float]
    if phase is not None:
        numbers = [phase]
    elif classes is not None:
        numbers = range(classes)
    else:
        numbers = classes_in(pred, label)
    values = torch.stack([_jaccard(pred == number, label == number) for number in numbers])
    return values.nan_to_num(1.0).mean(0) if absent == "one" else values.nanmean(0)


def _jaccard(pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return the voxels in both of two masks over those in either, (B,); NaN where there are none."""
    both, either = (mask.flatten(1).sum(1).double() for mask in (pred & label, pred | label))
    return (both / either).float()


def _check_absent(absent: str, phase: int | None, classes: int | None) -> None:
    if absent not in ("skip", "one"):
        raise UsageError(
            f"Absent classes count as skip or one, not as '{absent}'{did_you_mean(absent, ['skip', 'one'])}."
        )
    if absent == "one" and phase is None and classes is None:
        raise UsageError("A mean in which absent classes count as 1 must know how many there are: set 'classes'.")


class IoU(PerImageMetric):
    """Mean of :func:`iou` over images, for a MONAI evaluator.

    Args:
        of: key of the class maps that are judged.
        against: key of what they should be.
        phase: number of the class that is judged; None for the mean of all classes.
        absent: ``"one"`` counts a class that neither image has as 1, ``"skip"`` leaves it out.
        classes: how many classes the mean is over; None for those that are there.

    Raises:
        UsageError: as for :func:`iou`, before anything runs.
    """

    def __init__(
        self,
        of: str = "pred",
        against: str = "label",
        phase: int | None = None,
        absent: Absent = "skip",
        classes: int | None = None,
    ) -> None:
        _check_absent(absent, phase, classes)
        super().__init__(partial(iou, phase=phase, absent=absent, classes=classes), of, against)
