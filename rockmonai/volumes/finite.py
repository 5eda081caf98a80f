"""NaN and infinite voxels, found before they spread through a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from rockmonai.errors import DataError

_SLAB_BYTES = 64 << 20
# Voxels whose median stands for that of all.
_SAMPLE = 1 << 22


class Sliceable(Protocol):
    """An array or a lazy volume, (C, Z, Y, X) or (C, Y, X)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, Z, Y, X) or (C, Y, X)."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Of the arrays that slicing returns."""
        ...

    def __getitem__(self, index: slice | tuple[slice, ...], /) -> np.ndarray: ...


def check_finite(volume: Sliceable, name: str = "") -> None:
    """Refuse a volume with voxels that are not finite; integers pass unread.

    Args:
        volume: a `Volume` or an array, (C, Z, Y, X) or (C, Y, X); floats are read once, in slabs.
        name: what to call it in the message; by default its path.

    Raises:
        DataError: some voxels are NaN or infinite; the message counts them and locates the first.
    """
    count, first = not_finite(volume)
    if first is not None:
        name = name or str(getattr(volume, "path", "the volume"))
        axes = ", ".join("zyx"[-len(first) :])
        raise DataError(f"{name} has {count} NaN/Inf voxels, first at ({axes}) = {first}: fill or crop them first.")


def not_finite(volume: Sliceable) -> tuple[int, tuple[int, ...] | None]:
    """Return how many voxels (of any channel) of a volume are not finite, and where the first one is."""
    if volume.dtype.kind != "f":
        return 0, None
    count, first = 0, None
    for start, slab in slabs(volume):
        bad = np.logical_not(np.isfinite(slab)).any(axis=0)
        if bad.any():
            count += int(bad.sum())
            if first is None:
                at = np.argwhere(bad)[0]
                first = (start + int(at[0]), *(int(n) for n in at[1:]))
    return count, first


def finite_median(volume: Sliceable) -> float:
    """Return the median of the finite voxels: of a large volume, of every n-th row, column and so on.

    Raises:
        DataError: no voxel is finite.
    """
    step = max(1, round((np.prod(volume.shape) / _SAMPLE) ** (1 / (len(volume.shape) - 1))))
    thinned = (
        slab[(slice(None), slice(-start % step, None, step), *[slice(None, None, step)] * (slab.ndim - 2))]
        for start, slab in slabs(volume)
    )
    values = np.concatenate([slab[np.isfinite(slab)] for slab in thinned])
    if not values.size:
        raise DataError(f"{getattr(volume, 'path', 'the volume')} has no finite voxels: check how it was written.")
    return float(np.median(values))


def slabs(volume: Sliceable) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the volume in thick slices that fit the memory, each with the index of its first."""
    row = volume.dtype.itemsize * max(1, int(np.prod(volume.shape)) // max(1, volume.shape[1]))
    step = max(1, _SLAB_BYTES // row)
    for start in range(0, volume.shape[1], step):
        yield start, volume[:, start : start + step]
