"""How the walls of the pores fill space from scale to scale: their fractal dimension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rockmonai.errors import DataError, UsageError
from rockmonai.petrophysics.masks import Mask, as_mask


def fractal_dimension(mask: Mask, sizes: Sequence[int] | None = None) -> float:
    """Return the box-counting dimension of the pore walls, 1 to 2 in an image and 2 to 3 in a volume.

    The slope of the least-squares line through log(:func:`box_counts`) over log(1 / size). A straight wall along the
    grid through an image whose side is a multiple of all sizes gives exactly 1, such a plane exactly 2. Other walls
    feel the position of the grid and the size of the pores. Measured with the default sizes for random radii and
    positions (mean and standard deviation): circles 1.01 ± 0.05 in 128 x 128 pixels and 1.00 ± 0.02 in 1024 x 1024,
    spheres 2.00 ± 0.04 in 128 x 128 x 128 voxels; Koch snowflakes, log 4 / log 3 = 1.262, in 512 to 2048 pixels per
    side 1.24 ± 0.02. Numbers of two rocks can be compared when image size and sizes are the same.

    Args:
        mask: ([Z,] Y, X), 1 or True in the pores and 0 elsewhere.
        sizes: sides of the boxes in voxels, two different ones or more; None for the powers of 2 from 4 to an eighth
            of the shortest side. Smaller ones read rough walls low, since voxels cannot show their tips: the Koch
            curve's slope from 1 to 2 voxels is 1.13.

    Returns:
        The dimension; NaN for a mask without walls.

    Raises:
        DataError: for something else than a mask, or without ``sizes`` one of less than 64 voxels along an axis.
        UsageError: for sizes that are less than 1, larger than the mask, or all the same.
    """
    pores = as_mask(mask)
    if sizes is None:
        if min(pores.shape) < 64:
            raise DataError(
                f"A fractal dimension asks for 64 voxels or more along each axis, found {pores.shape}: take larger "
                "images or give 'sizes'."
            )
        sizes = [2**power for power in range(2, (min(pores.shape) // 8).bit_length())]
    if len(set(sizes)) < 2:
        raise UsageError(f"A slope needs boxes of two different sizes or more, found {list(sizes)}.")
    counts = box_counts(pores, sizes)
    return -float(np.polyfit(np.log(sizes), np.log(counts), 1)[0]) if counts.all() else float("nan")


def box_counts(mask: Mask, sizes: Sequence[int]) -> NDArray[np.int64]:
    """Return in how many boxes of a grid there is wall, for boxes of each of ``sizes``, (len(sizes),).

    The grid's corners are voxel centres, and a box of size s has (s + 1) voxels along each axis, the outermost shared
    with its neighbours; it holds wall when these are neither all pore nor all solid. A grid laid over voxels instead
    would miss walls between two boxes, or count the voxels on one side of them, which are fewer the more a wall is
    inclined. The last boxes may reach beyond the mask, which goes on there as it ends.

    Args:
        mask: ([Z,] Y, X), 1 or True in the pores and 0 elsewhere.
        sizes: sides of the boxes in voxels.

    Raises:
        DataError: for something else than a mask.
        UsageError: for sizes that are less than 1 or larger than the mask.
    """
    pores = as_mask(mask)
    if not all(1 <= size <= min(pores.shape) for size in sizes):
        raise UsageError(f"Boxes in a mask {pores.shape} have 1 to {min(pores.shape)} voxels, found {list(sizes)}.")
    walls = _walls(pores)
    return np.array([np.count_nonzero(_boxes(walls, size)) for size in sizes])


def _walls(pores: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the boxes of size 1 in which there is wall, as many as voxels."""
    some = every = np.pad(pores, (0, 1), mode="edge")
    for axis in range(pores.ndim):
        first, second = (
            tuple(part if axis == each else slice(None) for each in range(pores.ndim))
            for part in (slice(None, -1), slice(1, None))
        )
        some, every = some[first] | some[second], every[first] & every[second]
    return some & ~every


def _boxes(walls: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Return which of the boxes of ``size`` hold one of the ``walls``."""
    for axis, side in enumerate(walls.shape):
        walls = np.logical_or.reduceat(walls, np.arange(0, side, size), axis)
    return walls
