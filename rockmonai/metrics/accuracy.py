"""Share of the pixels whose class is right."""

from __future__ import annotations

import torch

from rockmonai.metrics.class_maps import check_class_maps
from rockmonai.metrics.per_image import PerImageMetric


def pixel_accuracy(pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return the share of the pixels or voxels of each image that have their label's class, (B,), from 0 to 1.

    Where one class fills most of a rock, an image of nothing else scores high: read it beside :func:`iou`.

    Args:
        pred: numbers of classes, (B, 1, ...), any dtype.
        label: what they should be, same shape.

    Raises:
        DataError: for unequal shapes, or several channels.
    """
    check_class_maps(pred, label)
    right = (pred == label).flatten(1).sum(1).double()
    return (right / label[0].numel()).float()


class PixelAccuracy(PerImageMetric):
    """Mean of :func:`pixel_accuracy` over images, for a MONAI evaluator.

    Args:
        of: key of the class maps that are judged.
        against: key of what they should be.
    """

    def __init__(self, of: str = "pred", against: str = "label") -> None:
        super().__init__(pixel_accuracy, of, against)
