"""Which class was taken for which."""

from __future__ import annotations

import torch

from rockmonai.errors import DataError
from rockmonai.metrics.class_maps import check_class_maps


def confusion_matrix(pred: torch.Tensor, label: torch.Tensor, classes: int) -> torch.Tensor:
    """Return how many voxels of each class were taken for each class, (B, classes, classes) int64.

    Rows are what the label says, columns what the prediction says. The sum over images is the matrix of a data set.

    Args:
        pred: numbers of classes, (B, 1, ...), any dtype.
        label: what they should be, same shape.
        classes: how many there are, numbered from 0.

    Raises:
        DataError: for unequal shapes, several channels, or a number that is no class.
    """
    check_class_maps(pred, label)
    for image in (pred, label):
        least, most = (float(number) for number in image.aminmax())
        if not 0 <= least <= most < classes:
            raise DataError(f"The classes are numbered 0 to {classes - 1}, found {least:g} to {most:g}: set 'classes'.")
    cells = (label.long() * classes + pred.long()).flatten(1)
    counts = [torch.bincount(image, minlength=classes**2).view(classes, classes) for image in cells]
    return torch.stack(counts)
