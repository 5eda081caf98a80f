"""How many voxels of each class a data set has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from rockmonai.errors import DataError


def class_counts(
    data: Sequence[Mapping[str, Any]], transform: Callable[[dict], Mapping[str, Any]], classes: Sequence[str]
) -> torch.Tensor:
    """Return the number of voxels of each class in all labels, (C,) int64; every label is read once.

    Args:
        data: records, one for each image.
        transform: makes of a record the whole class map (1, *spatial) of its image in ``"label"``.
        classes: the names of the classes, whose numbers count from 0.

    Raises:
        DataError: a label has a number without a name.
    """
    counts = torch.zeros(len(classes), dtype=torch.int64)
    for record in data:
        found = torch.bincount(torch.as_tensor(transform(dict(record))["label"]).flatten(), minlength=len(classes))
        if len(found) > len(classes):
            raise DataError(
                f"The label of '{record.get('name', '')}' has a class {len(found) - 1}, but the classes are numbered 0 "
                f"to {len(classes) - 1} ({', '.join(classes)}): name all that there are."
            )
        counts += found
    return counts
