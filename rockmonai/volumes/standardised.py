"""Greys of a whole volume brought to mean 0 and standard deviation 1, whatever piece of it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rockmonai.errors import DataError
from rockmonai.volumes.finite import Sliceable, slabs
from rockmonai.volumes.volume import Volume, open_volume


def moments(volume: Sliceable) -> tuple[float, float]:
    """Return mean and standard deviation of all finite voxels, read once, in slabs.

    Args:
        volume: a `Volume` or an array, (C, Z, Y, X) or (C, Y, X).

    Raises:
        DataError: no voxel is finite, or all are equal.
    """
    count, mean, squares = 0, 0.0, 0.0
    for _, slab in slabs(volume):
        greys = slab[np.isfinite(slab)].astype(np.float64)
        if not greys.size:
            continue
        # Slabs are put together as Chan, Golub, LeVeque have it, https://doi.org/10.1080/00031305.1983.10483115.
        step, share = greys.mean() - mean, greys.size / (count + greys.size)
        squares += greys.var() * greys.size + step**2 * count * share
        count, mean = count + greys.size, mean + step * share
    name = getattr(volume, "path", "the volume")
    if not count or squares == 0:
        what = "a single grey" if count else "no finite voxels"
        raise DataError(f"{name} has {what}, which cannot be standardised: check how it was written.")
    return float(mean), float(np.sqrt(squares / count))


def grey_range(standardise: bool, path: str | Path | None = None, deviations: float = 3.0) -> list[float] | str:
    """Return the greys that become -1 and 1: ``"dtype"``, or so many standard deviations either side of the mean.

    Args:
        standardise: False for ``"dtype"``, the full range of the type of a volume, which is then not read.
        path: of the volume (see :func:`open_volume`); None for volumes that come :class:`Standardised`.
        deviations: how many standard deviations.

    Raises:
        DataError: the volume cannot be read or has a single grey.
    """
    if not standardise:
        return "dtype"
    mean, std = (0.0, 1.0) if path is None else moments(open_volume(path))
    return [mean - deviations * std, mean + deviations * std]


class Standardised:
    """A volume (C, [Z,] Y, X) whose greys have mean 0 and standard deviation 1; slicing reads what is asked.

    Args:
        volume: the volume, all of which is read once to measure it.

    Attributes:
        path: of its file.
        shape: (C, Z, Y, X) or (C, Y, X).
        dtype: float32.
        spacing: voxel size in micrometres along (z,) y, x; None where unknown.

    Raises:
        DataError: it has a single grey, or no finite one.
    """

    def __init__(self, volume: Volume) -> None:
        self.path, self.shape, self.spacing = volume.path, volume.shape, volume.spacing
        self.dtype = np.dtype(np.float32)
        self._volume, (self._mean, self._std) = volume, moments(volume)

    def __getitem__(self, index: Any) -> np.ndarray:
        return ((self._volume[index] - np.float64(self._mean)) / self._std).astype(np.float32)
