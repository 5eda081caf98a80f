"""Whether a label is the class map that logits can be compared with."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rockmonai.errors import DataError


def check_class_map(label: torch.Tensor, shape: Sequence[int], classes: int) -> None:
    """Raise a DataError unless ``label`` has ``shape`` and holds no number outside 0 to ``classes - 1``.

    Broadcasting would compare the wrong voxels, a class without a channel would count as the rest of all others, and
    a mask of 0 and 255 would make a Dice loss negative.
    """
    if tuple(label.shape) != tuple(shape):
        raise DataError(
            f"The class map of these logits must have the shape {tuple(shape)}, found {tuple(label.shape)}: give one "
            "channel of class numbers, cut together with the image."
        )
    least, most = (float(number) for number in label.aminmax())
    if not 0 <= least <= most < classes:
        raise DataError(
            f"Labels must be class numbers from 0 to {classes - 1}, found {least:g} to {most:g}: "
            "mend the labels, or give the network a channel for every class."
        )
