"""NaN and infinite voxels, found before they spread through a network."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from rockmonai.errors import DataError

_SLAB_BYTES = 64 << 20


class _Sliceable(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __getitem__(self, index: slice | tuple[slice, ...], /) -> np.ndarray: ...


def check_finite(volume: _Sliceable, name: str = "") -> None:
    """Refuse a volume with voxels that are not finite; integers pass unread.

    Args:
        volume: a `Volume` or an array, (C, Z, Y, X) or (C, Y, X); floats are read once, in slabs.
        name: what to call it in the message; by default its path.

    Raises:
        DataError: some voxels are NaN or infinite; the message counts them and locates the first.
    """
    if volume.dtype.kind != "f":
        return
    count, first = 0, None
    row = volume.dtype.itemsize * max(1, int(np.prod(volume.shape)) // max(1, volume.shape[1]))
    step = max(1, _SLAB_BYTES // row)
    for start in range(0, volume.shape[1], step):
        bad = np.logical_not(np.isfinite(volume[:, start : start + step])).any(axis=0)
        if bad.any():
            count += int(bad.sum())
            if first is None:
                at = np.argwhere(bad)[0]
                first = (start + int(at[0]), *(int(n) for n in at[1:]))
    if first is not None:
        name = name or str(getattr(volume, "path", "the volume"))
        axes = ", ".join("zyx"[-len(first) :])
        raise DataError(f"{name} has {count} NaN/Inf voxels, first at ({axes}) = {first}: fill or crop them first.")
