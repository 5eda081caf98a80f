"""How sure a segmentation is of its classes, voxel by voxel."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from rockmonai.errors import DataError


def uncertainty(logits: torch.Tensor) -> torch.Tensor:
    """Return the entropy of the classes' probabilities over the greatest it can be, (1, *spatial), float32.

    0 where one class has all the probability, 1 where all have the same (Shannon 1948,
    doi:10.1002/j.1538-7305.1948.tb01338.x). It tells how undecided the network is, not how often it is wrong.

    Args:
        logits: one channel for each class, (C, *spatial), whose softmax are the probabilities.

    Raises:
        DataError: there is a single channel, and so nothing to choose from.
    """
    if len(logits) < 2:
        raise DataError("An uncertainty needs logits of two classes or more, found one channel: use a class each.")
    logs = logits.float().log_softmax(0)
    entropy = -(logs.exp() * logs).sum(0, keepdim=True)
    return (entropy / math.log(len(logits))).clamp(0, 1)


class Uncertaintyd(MapTransform):
    """Adds the :func:`uncertainty` of logits, before they become a map of classes.

    Args:
        keys: key of the logits (C, *spatial).
        output: key of the result, (1, *spatial) in [0, 1].
    """

    def __init__(self, keys: KeysCollection = "pred", output: str = "uncertainty") -> None:
        super().__init__(keys)
        self.output = output

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its uncertainty."""
        return {**data, self.output: uncertainty(torch.as_tensor(data[self.first_key(dict(data))]))}
