"""How rough the walls of the pores are: what of them a coarser look does not see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rockmonai.errors import DataError, UsageError
from rockmonai.petrophysics.masks import Mask, as_mask
from rockmonai.petrophysics.surface import specific_surface


def roughness(mask: Mask, coarsening: int = 4) -> float:
    """Return how much longer the pore walls are than in the same mask seen ``coarsening`` times coarser.

    A measure of our own. Blocks of ``coarsening`` voxels along each axis become one voxel, pore where at least half of
    the block is. The roughness is the wall per pore (:func:`specific_surface` over :func:`porosity`) of the fine mask
    over that of the coarse one, both in the same unit of length. Smooth walls of pores that are wide against the
    blocks give 1 in the limit; that of a fractal wall of the dimension D grows as ``coarsening ** (D - 1)``, in a
    volume as ``coarsening ** (D - 2)``. Pores of less than a block, which the coarse mask loses, count as roughness
    too. Voxels beyond the last whole block are left out.

    Measured with blocks of 4: random pores of an image (noise smoothed by a Gaussian of 2, 4, 6 blocks, its lowest
    quarter) 1.04, 1.015, 1.006; Berea sandstone 1.31. A rock fills its image: a single pore in an empty image of n
    blocks per side reads about 1/n too low, in a volume 1.5/n.

    Args:
        mask: ([Z,] Y, X), 1 or True in the pores and 0 elsewhere, two blocks or more along each axis.
        coarsening: voxels along each axis of a block, 2 or more.

    Returns:
        The ratio; NaN where the coarse mask has no wall and therefore nothing to compare with.

    Raises:
        DataError: for something else than a mask, or one of less than two blocks.
        UsageError: for a coarsening below 2.
    """
    if coarsening < 2:
        raise UsageError(f"Walls are compared with those of a coarser mask, found coarsening {coarsening}: 2 or more.")
    pores = as_mask(mask)
    if min(pores.shape) < 2 * coarsening:
        raise DataError(
            f"A mask seen {coarsening} times coarser has two blocks or more along each axis, found {pores.shape} "
            "voxels: take larger images or lower 'coarsening'."
        )
    pores = pores[tuple(slice(side - side % coarsening) for side in pores.shape)]
    fine, coarse = _wall_per_pore(pores), _wall_per_pore(_coarsened(pores, coarsening))
    # A wall is as many times longer in coarse voxels as they are larger.
    return fine / coarse * coarsening if coarse else float("nan")


def _coarsened(pores: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    blocks = pores.reshape([length for side in pores.shape for length in (side // by, by)])
    return blocks.mean(tuple(range(1, blocks.ndim, 2))) >= 0.5


def _wall_per_pore(pores: NDArray[np.bool_]) -> float:
    """Return the wall per pore in voxels, 0 for a mask without walls."""
    wall = specific_surface(pores)
    return wall / float(pores.mean()) if wall else 0.0
