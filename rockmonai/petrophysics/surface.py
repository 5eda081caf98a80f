"""How much wall lies between pores and solid: its length in an image, its area in a volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import SphericalVoronoi

from rockmonai.errors import DataError, UsageError, did_you_mean
from rockmonai.petrophysics.masks import Mask, as_mask

Array = NDArray[Any]
Estimator = Literal["crofton", "faces"]


def interface_length(mask: Mask, spacing: Sequence[float] | None = None, estimator: Estimator = "crofton") -> float:
    """Return the length of the pore walls of an image, or their area in a volume.

    Only walls between two voxels of the mask count; its border is no wall. Digital walls are staircases, and an
    estimator says what they stand for:

    * ``"crofton"`` counts the neighbours that differ in 4 directions of the plane or 13 of space and weights each
      direction by its share of all directions (formula of Cauchy and Crofton). It is unbiased over the orientations
      of a wall. Measured: circles of a radius of 10 voxels or more within 0.5 %, spheres within 0.6 %, of 40 within
      0.2 % and 0.1 %. A single flat wall is taken for 5 % (image) or 7 % (volume) less than it is where it lies along
      the grid, and for up to 3 % more where it is inclined.
    * ``"faces"`` counts voxel faces: exact for boxes along the grid, 4/pi (circle) and 3/2 (sphere) of any wall that
      takes all orientations, however fine the voxels.

    Ohser, Mücklich, Statistical Analysis of Microstructures in Materials Science, Wiley 2000; Lehmann, Legland,
    Efficient N-dimensional surface estimation using Crofton formula and run-length encoding, Insight Journal 2012.

    Args:
        mask: ([Z,] Y, X), 1 or True in the pores and 0 elsewhere, two voxels or more along each axis.
        spacing: voxel size in µm, ([z,] y, x), for a result in µm or µm²; None for voxels.
        estimator: ``"crofton"`` or ``"faces"``.

    Raises:
        DataError: for something else than a mask, or a spacing that does not fit it.
        UsageError: for an unknown estimator.
    """
    weights, crossings, _, size = _walls(mask, spacing, estimator)
    return float(weights @ crossings * size.prod())


def specific_surface(mask: Mask, spacing: Sequence[float] | None = None, estimator: Estimator = "crofton") -> float:
    """Return the pore walls per volume of rock (pores and solid), in 1/µm or, without ``spacing``, per voxel size.

    In an image the walls per area; in an isotropic rock 4/pi times as much is the area per volume. The neighbours
    that differ are divided by those that the mask has in their direction, so that the mean over small pieces of a rock
    is that of the rock: in blocks of 32 voxels of Berea sandstone within 1 %, where :func:`interface_length` over the
    volume, which sees no wall on the border of a block, is 5 % less.

    Args:
        mask: ([Z,] Y, X), 1 or True in the pores and 0 elsewhere, two voxels or more along each axis.
        spacing: voxel size in µm, ([z,] y, x); None for voxels.
        estimator: as for :func:`interface_length`.

    Raises:
        DataError: as for :func:`interface_length`.
        UsageError: as for :func:`interface_length`.
    """
    weights, crossings, pairs, _ = _walls(mask, spacing, estimator)
    return float(weights @ (crossings / pairs))


def _walls(mask: Mask, spacing: Sequence[float] | None, estimator: str) -> tuple[Array, Array, Array, Array]:
    """Return for each direction its weight, its neighbours that differ and all its neighbours; and the voxel's size."""
    pores = as_mask(mask)
    size = _voxel_size(pores.shape, spacing)
    if estimator not in (known := get_args(Estimator)):
        raise UsageError(f"Walls are estimated by crofton or faces, not '{estimator}'{did_you_mean(estimator, known)}.")
    steps, shares = _crofton_directions(size) if estimator == "crofton" else (np.eye(size.size, dtype=int), 1.0)
    crossings, pairs = np.transpose([_neighbours(pores, step) for step in steps])
    return shares / np.linalg.norm(steps * size, axis=1), crossings, pairs, size


def _crofton_directions(size: Array) -> tuple[Array, Array]:
    """Return the steps to half of a voxel's neighbours, and what wall a unit of their projections stands for."""
    zero = (0,) * size.size
    steps = np.array([step for step in product((-1, 0, 1), repeat=size.size) if step > zero])
    units = steps * size / np.linalg.norm(steps * size, axis=1, keepdims=True)
    areas = SphericalVoronoi(np.concatenate([units, -units])).calculate_areas()[: len(steps)]
    # A wall of area 1 has the area 1/2 in projection, averaged over all directions; a line of length 1 that of 2/pi.
    return steps, areas / areas.sum() * (2 if size.size == 3 else math.pi / 2)


def _neighbours(pores: NDArray[np.bool_], step: Array) -> tuple[int, int]:
    """Return how many voxels differ from their neighbour at ``step``, and how many have one."""
    sides = list(zip(step, pores.shape, strict=True))
    here = pores[tuple(slice(max(0, -by), side - max(0, by)) for by, side in sides)]
    there = pores[tuple(slice(max(0, by), side - max(0, -by)) for by, side in sides)]
    return int(np.count_nonzero(here != there)), here.size


def _voxel_size(shape: tuple[int, ...], spacing: Sequence[float] | None) -> Array:
    if min(shape) < 2:
        raise DataError(f"Walls lie between two voxels, found a mask of the shape {shape}: give one slice as (Y, X).")
    size = np.ones(len(shape)) if spacing is None else np.asarray(spacing, dtype=float)
    if size.shape != (len(shape),) or not (np.isfinite(size) & (size > 0)).all():
        raise DataError(f"A spacing is one positive length per axis of the mask {shape}, found {spacing}.")
    return size
