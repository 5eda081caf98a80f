"""A stack of separate planes, read as one array: pages that are not contiguous in a file, files in a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


class Planes:
    """An array (N, ...) over planes that are opened when a slice needs them.

    Opening a memory map costs microseconds and, unlike keeping thousands of them, no file handles.

    Args:
        planes: one function per plane that returns its array-like.
        shape: shape of a plane.
        dtype: dtype of a plane.
    """

    def __init__(self, planes: Sequence[Callable[[], Any]], shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._planes, self.shape, self.dtype = planes, (len(planes), *shape), dtype

    def __getitem__(self, index: tuple[Any, ...]) -> np.ndarray:
        first, *rest = index
        return np.stack([np.asarray(plane()[tuple(rest)]) for plane in self._planes[first]])


def mapped(path: Path, dtype: np.dtype, offset: int, shape: tuple[int, ...], order: Any = "C") -> np.memmap:
    """Return a read-only memory map of ``shape`` at ``offset`` bytes into the file."""
    return np.memmap(path, dtype, "r", offset, shape, order)
