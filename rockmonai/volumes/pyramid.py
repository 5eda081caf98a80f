"""Coarser levels beside a volume, so that a viewer shows the whole of it at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from rockmonai.volumes.blocks import Box, boxes, scaled, within
from rockmonai.volumes.ome_zarr import create_level, multiscales
from rockmonai.volumes.source import Layout

# Values (C, [Z,] Y, X) and a step of 1 or 2 along each axis to one value for each cell of that many.
Reduction = Callable[[np.ndarray, Sequence[int]], np.ndarray]

# A level whose longest side is no more than this needs no coarser one.
_SMALL = 256


def level_shapes(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the shapes (C, [Z,] Y, X) of all levels, the full resolution first."""
    shapes = [tuple(shape)]
    while max(shapes[-1][1:]) > _SMALL:
        channels, *spatial = shapes[-1]
        shapes.append((channels, *(max(1, length // 2) for length in spatial)))
    return shapes


def mean(values: np.ndarray, step: Sequence[int]) -> np.ndarray:
    """Return the means of cells of ``step`` (1 or 2) voxels along (z,) y, x of ``values`` (C, [Z,] Y, X).

    The lengths are multiples of ``step``; the dtype is kept, integers are rounded half up.
    """
    wide = np.float64 if values.dtype.kind == "f" else np.int32 if values.dtype.itemsize <= 2 else np.int64
    total = values
    for axis, n in enumerate(step, 1):
        if n == 2:
            before = (slice(None),) * axis
            total = np.add(total[(*before, slice(0, None, 2))], total[(*before, slice(1, None, 2))], dtype=wide)
    halvings = sum(n == 2 for n in step)
    if values.dtype.kind != "f":
        return ((total + (1 << halvings >> 1)) >> halvings).astype(values.dtype)
    return (total / 2**halvings).astype(values.dtype)


def first(values: np.ndarray, step: Sequence[int]) -> np.ndarray:
    """Return the first voxel of each cell of ``step`` voxels along (z,) y, x of ``values`` (C, [Z,] Y, X).

    Classes are names: the mean of 0 and 2 is not the class 1 between them.
    """
    return values[(slice(None), *(slice(None, None, n) for n in step))]


def add_levels(group_path: Path, layout: Layout, final: Path, reduction: Reduction = mean) -> None:
    """Add to an OME-Zarr of one level those that are 2, 4, 8 ... times coarser, down to 256 voxels a side.

    Each voxel is made of the 2 x 2 (x 2) below it; the last voxel of an odd length has no partner and is left out; an
    axis of length 1 stays. A level is written shard by shard and each is read in
    parts, so that the memory needed is that of one piece.

    Args:
        group_path: the OME-Zarr.
        layout: of its full resolution.
        final: the name under which it will be published, for the metadata.
        reduction: what makes one voxel of several, `mean`, or `first` where they are numbers of classes.
    """
    group = zarr.open_group(str(group_path), mode="r+")
    factors = [(1,) * len(layout.shape[1:])]
    fine: Any = group["0"]
    for number, shape in enumerate(level_shapes(layout.shape)[1:], 1):
        step = tuple(1 + (length > 1) for length in fine.shape[1:])
        factors.append(tuple(a * b for a, b in zip(factors[-1], step, strict=True)))
        pieces = tuple(min(length, size) for length, size in zip(layout.chunks, shape[1:], strict=True))
        coarse = create_level(group, str(number), Layout(shape, layout.dtype, None, pieces))
        for where in boxes(tuple(slice(0, size) for size in shape[1:]), (coarse.shards or coarse.chunks)[1:]):
            coarse[(slice(None), *where)] = _coarser(fine, where, step, coarse.chunks[1:], reduction)
        fine = coarse
    group.attrs["ome"] = multiscales(final, layout.spacing, factors)


def _coarser(fine: Any, where: Box, step: Sequence[int], part: Sequence[int], reduction: Reduction) -> np.ndarray:
    """Return the coarse voxels of ``where``, read from the fine level a chunk at a time."""
    shape = (fine.shape[0], *(box.stop - box.start for box in where))
    result = np.empty(shape, fine.dtype)
    for box in boxes(where, part):
        result[(slice(None), *within(box, where))] = reduction(fine[(slice(None), *scaled(box, step))], step)
    return result
