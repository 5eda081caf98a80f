"""How much a volume changes from slice to slice: slices that were translated one by one may flicker."""

from __future__ import annotations

import numpy as np
import torch

from rockmonai.errors import DataError
from rockmonai.volumes import Volume


def slice_difference(volume: torch.Tensor | np.ndarray | Volume) -> float:
    """Return the mean absolute difference between neighbouring slices along z, in the greys of ``volume``.

    A volume predicted slice by slice should change from slice to slice as much as the ground truth does, no more. Two
    slices are in memory at a time, so that an open volume may have any size.

    Args:
        volume: (C, Z, Y, X), a tensor, an array or an open volume.

    Raises:
        DataError: for an image, or a volume of one slice.
    """
    if len(volume.shape) != 4 or volume.shape[1] < 2:
        raise DataError(
            f"Only a volume (C, Z, Y, X) of two slices or more has neighbouring slices, found {tuple(volume.shape)}."
        )
    depth = volume.shape[1]
    total, below = 0.0, _slice(volume, 0)
    for z in range(1, depth):
        above = _slice(volume, z)
        total += float((above - below).abs().mean())
        below = above
    return total / (depth - 1)


def _slice(volume: torch.Tensor | np.ndarray | Volume, z: int) -> torch.Tensor:
    """Return a slice (C, Y, X) in a precision whose differences neither wrap nor round."""
    return torch.as_tensor(np.asarray(volume[:, z]), dtype=torch.float64)
