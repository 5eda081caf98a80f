"""Images that can only be decoded whole, kept in memory for the next read as long as there is room."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

# Bytes of decoded images that a process keeps.
KEPT_BYTES = 512 << 20


class Deferred:
    """An array whose header is known and whose values are decoded, whole, when a read needs them.

    For formats that cannot be read in part: compressed pictures, compressed medical images. A process keeps at most
    ``KEPT_BYTES`` of them, those that were read last; a larger one is kept alone, until another is decoded.

    Args:
        shape: shape of the values.
        dtype: dtype of the values.
        load: returns the values.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, load: Callable[[], np.ndarray]) -> None:
        self.shape, self.dtype, self._load = shape, dtype, load
        self._values: np.ndarray | None = None

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.values()[index]

    def values(self) -> np.ndarray:
        """Return the whole array, decoded now unless it is still in memory."""
        values = self._values
        if values is None:
            _make_room(math.prod(self.shape) * self.dtype.itemsize)
            values = self._values = self._load()
        _kept.pop(self, None)
        _kept[self] = values.nbytes
        return values


# The decoded images that are alive and their bytes, the one that was read last at the end.
_kept: WeakKeyDictionary[Deferred, int] = WeakKeyDictionary()


def _make_room(nbytes: int) -> None:
    excess = sum(_kept.values()) + nbytes - KEPT_BYTES
    for oldest in list(_kept):
        if excess <= 0:
            break
        excess -= _kept.pop(oldest)
        oldest._values = None
