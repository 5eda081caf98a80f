"""What a mask of the pores is, and how much of it is pore."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rockmonai.errors import DataError

Mask = torch.Tensor | NDArray[Any]


def porosity(mask: Mask) -> float:
    """Return the share of the voxels that are pore, from 0 to 1.

    Args:
        mask: ([Z,] Y, X), 1 or True in the pores and 0 elsewhere.

    Raises:
        DataError: for a mask that is neither 2D nor 3D, is empty, or holds other values than 0 and 1.
    """
    return float(as_mask(mask).mean())


def as_mask(mask: Mask) -> NDArray[np.bool_]:
    """Return ``mask`` as a boolean array ([Z,] Y, X).

    Raises:
        DataError: as for :func:`porosity`.
    """
    values = mask.numpy(force=True) if isinstance(mask, torch.Tensor) else np.asarray(mask)
    if values.ndim not in (2, 3) or 0 in values.shape:
        raise DataError(f"A mask of pores is an image (Y, X) or a volume (Z, Y, X), found the shape {values.shape}.")
    pores = values.astype(bool)
    if values.dtype != bool and (values != pores).any():
        other = values[values != pores].flat[0]
        raise DataError(f"A mask of pores holds 0 and 1 only, found {other:g}: compare a class map with a class first.")
    return pores
