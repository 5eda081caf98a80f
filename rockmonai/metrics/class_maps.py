"""Which class maps can be compared, and of which classes they speak."""

from __future__ import annotations

import torch

from rockmonai.errors import DataError
from rockmonai.metrics.per_image import check_same_shape


def check_class_maps(pred: torch.Tensor, label: torch.Tensor) -> None:
    """Raise a DataError unless the two batches have one shape and one channel."""
    check_same_shape(pred, label)
    if pred.shape[1] != 1:
        raise DataError(f"Class maps have one channel, found {tuple(pred.shape)}: take the argmax of logits before.")


def classes_in(pred: torch.Tensor, label: torch.Tensor) -> list[float]:
    """Return the numbers of the classes that are in one batch or the other, in order."""
    return torch.cat([pred.unique(), label.unique()]).unique().tolist()
