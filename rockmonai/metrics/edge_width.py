"""How sharp an image is at the walls of a class, measured as the width of its edges."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from scipy import ndimage
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression
from scipy.special import ndtri

from rockmonai.metrics.per_image import PerImageMetric
from rockmonai.metrics.regions import check_region

# In voxels: wider bins widen the edges, narrower ones hold few voxels of one wall.
_BIN = 0.75
# In voxels: hides the stairs of the grid, and hardly anything else.
_BLUR = 1.0


def edge_width(pred: torch.Tensor, label: torch.Tensor, phase: int, radius: float = 6.0) -> torch.Tensor:
    """Return the distance over which greys rise from 10 % to 90 % at the walls of a class, (B,), in voxels.

    The edge spread function, the mean grey at each signed distance from the walls, made monotonic, of all walls
    together, as ISO 12233 measures it for cameras and ASTM E1695 for tomographs. An edge that a Gaussian of standard
    deviation s has blurred is 2.563 s wide, which is found within 5 % from 2.5 voxels on; walls that are misplaced
    in the class map make edges wider. NaN for an image in which no voxel of the class, or none of the others, is deeper
    than ``radius``.

    Args:
        pred: images, (B, C, [Z,] Y, X), any dtype; of several channels the mean width is taken.
        label: numbers of classes on the same grid, (B, 1, [Z,] Y, X), any dtype.
        phase: number of the class; the others should be one grey where they touch it.
        radius: voxels farther from a wall than this show what an edge rises from and to; the blur must end within.

    Raises:
        DataError: for unequal shapes, or several channels of classes.
    """
    check_region(label, pred)
    widths = []
    for image, classes in zip(pred.numpy(force=True), label.numpy(force=True), strict=True):
        depth = _depth(classes[0] == phase)
        widths.append([_width(greys.astype(np.float64), depth, radius) for greys in image])
    return torch.tensor(widths, dtype=torch.float32, device=pred.device).mean(1)


def _depth(inside: np.ndarray) -> np.ndarray:
    """Return the distance of each voxel from the nearest wall, below 0 outside; infinite where there is no wall.

    Voxels make stairs of an oblique wall. Its place and direction are those of the mask when it is blurred a little:
    a distance t from a plane is then a value of Phi(t / blur).
    """
    boundary = inside != ndimage.binary_dilation(inside)
    boundary |= inside & ~ndimage.binary_erosion(inside, border_value=1)
    if not boundary.any():
        return np.where(inside, math.inf, -math.inf)
    values = inside.astype(np.float64)
    place = _BLUR * ndtri(ndimage.gaussian_filter(values, _BLUR, mode="nearest").clip(1e-6, 1 - 1e-6))
    orders = np.eye(inside.ndim, dtype=int)
    slope = np.stack([ndimage.gaussian_filter(values, _BLUR, tuple(order), mode="nearest") for order in orders])
    nearest = tuple(ndimage.distance_transform_edt(~boundary, return_distances=False, return_indices=True))
    normal = slope[(slice(None), *nearest)]
    away = np.indices(inside.shape) - np.stack(nearest)
    return place[nearest] + (away * normal).sum(0) / np.maximum(np.linalg.norm(normal, axis=0), 1e-12)


def _width(greys: np.ndarray, depth: np.ndarray, radius: float) -> float:
    """Return the 10-90 % width of the edge spread function."""
    outside, inside = greys[depth < -radius], greys[depth > radius]
    if not outside.size or not inside.size or inside.mean() == outside.mean():
        return math.nan
    near = np.abs(depth) <= radius
    rise = (greys[near] - outside.mean()) / (inside.mean() - outside.mean())
    _, bins, counts = np.unique(np.rint(depth[near] / _BIN), return_inverse=True, return_counts=True)
    places, spread = (np.bincount(bins, values) / counts for values in (depth[near], rise))
    curve = PchipInterpolator(places, isotonic_regression(spread, weights=counts).x)
    fine = np.linspace(places[0], places[-1], math.ceil(200 * radius))
    return float(np.diff(np.interp([0.1, 0.9], curve(fine), fine))[0])


class EdgeWidth(PerImageMetric):
    """Mean of :func:`edge_width` over the images in which it can be measured, for a MONAI evaluator.

    Args:
        phase: number of the class.
        radius: how far from its walls an edge may reach, in voxels.
        of: key of the images that are judged.
        against: key of their class maps.
    """

    def __init__(self, phase: int, radius: float = 6.0, of: str = "pred", against: str = "semantic") -> None:
        super().__init__(partial(edge_width, phase=phase, radius=radius), of, against)
