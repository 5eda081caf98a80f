"""Geometry of a synthetic rock: random fields with a known correlation, and packs of rounded, faceted grains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfftn, rfftn
from scipy.spatial import cKDTree

Array = NDArray[np.float32]


def random_field(shape: Sequence[int], rng: np.random.Generator, length: ArrayLike, nu: float = 1.5) -> Array:
    """Return a periodic Gaussian random field of mean 0 and variance 1 with a Matérn correlation.

    Args:
        shape: size in pixels, one entry per axis.
        rng: the only source of randomness.
        length: correlation length in pixels, one number or one per axis.
        nu: smoothness; 0.5 gives the correlation ``exp(-r / length)``, 1.5 gives ``(1 + r / length) exp(-r / length)``.

    Source:
        Matérn spectrum, Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 4.15.
    """
    lengths = np.broadcast_to(np.asarray(length, dtype=float), (len(shape),))
    frequencies = [np.fft.fftfreq(n) for n in shape[:-1]] + [np.fft.rfftfreq(shape[-1])]
    grids = np.meshgrid(
        *(2 * np.pi * f * scale for f, scale in zip(frequencies, lengths, strict=True)), indexing="ij", sparse=True
    )
    energy = (1 + np.sum(np.broadcast_arrays(*(g * g for g in grids)), axis=0)) ** -(nu + len(shape) / 2)
    energy.flat[0] = 0.0
    spectrum = rfftn(rng.standard_normal(shape, dtype=np.float32)) * np.sqrt(energy).astype(np.float32)
    field = irfftn(spectrum, s=tuple(shape))
    return (field / field.std()).astype(np.float32)


class Pack(NamedTuple):
    """Grains of a rock on a pixel grid."""

    depth: Array  # signed distance to the nearest grain's surface in pixels, negative inside a grain
    gap: Array  # how much farther the second nearest grain is, in pixels: 0 on the contact of two grains
    owner: NDArray[np.int32]  # index of the nearest grain
    radii: Array  # one per grain, in pixels


def pack_grains(
    shape: Sequence[int],
    rng: np.random.Generator,
    grain_size: float,
    spread: float = 0.35,
    fill: float | None = None,
    stretch: ArrayLike = 1.0,
    facets: int = 4,
) -> Pack:
    """Return a pack of touching grains whose sizes follow a lognormal law.

    A grain is a convex body: the 16-norm of the positive projections on random facet normals is at most 1. The
    finite norm rounds the corners. Positions come from pushing overlapping balls apart.

    Args:
        shape: size in pixels, one entry per axis.
        rng: the only source of randomness.
        grain_size: median grain diameter in pixels.
        spread: standard deviation of the logarithm of the diameter.
        fill: volume of all balls over the volume of the box; default 0.84 in 2D and 0.64 in 3D, random close packing.
        stretch: elongation of every grain along each axis.
        facets: facets of a grain per spatial dimension.
    """
    dims = len(shape)
    fill = fill if fill is not None else {2: 0.84, 3: 0.64}[dims]
    box = np.asarray(shape) + 2 * grain_size
    mean_ball = {2: np.pi / 4, 3: np.pi / 6}[dims] * grain_size**dims * np.exp((dims * spread) ** 2 / 2)
    count = max(4, round(fill * float(np.prod(box)) / mean_ball))
    radii = grain_size / 2 * np.exp(spread * rng.standard_normal(count).clip(-2, 2))
    longer = np.broadcast_to(np.asarray(stretch, dtype=float), (dims,))
    centres = _push_apart(rng.random((count, dims)) * box / longer, radii, box / longer) * longer - grain_size

    depth = np.full(shape, 4 * grain_size, dtype=np.float32)
    second = depth.copy()
    owner = np.zeros(shape, dtype=np.int32)
    for index, (centre, radius) in enumerate(zip(centres, radii, strict=True)):
        normals = rng.standard_normal((facets * dims, dims))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        # The support function of an ellipsoid near the stretched ball, jittered: where each facet stands.
        ellipsoid = (np.eye(dims) + 0.2 * rng.standard_normal((dims, dims))) * longer
        heights = np.linalg.norm(normals @ ellipsoid, axis=1) * rng.uniform(0.8, 1.15, len(normals))
        # Far enough for any surface that a porosity may ask for: nearer, the window itself would show as a flat wall.
        reach = (1.3 * radius + 0.4 * grain_size) * longer
        low = np.clip(np.floor(centre - reach), 0, shape).astype(int)
        high = np.clip(np.ceil(centre + reach), 0, shape).astype(int)
        if (high <= low).any():
            continue
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        axes = [((np.arange(a, b) - c) / radius).astype(np.float32) for a, b, c in zip(low, high, centre, strict=True)]
        distance = (_gauge(axes, (normals / heights[:, None]).astype(np.float32), longer) - 1) * np.float32(radius)
        nearer = distance < depth[window]
        second[window] = np.where(nearer, depth[window], np.minimum(second[window], distance))
        depth[window] = np.where(nearer, distance, depth[window])
        owner[window][nearer] = index
    return Pack(depth, second - depth, owner, radii.astype(np.float32))


def _push_apart(centres: NDArray, radii: NDArray, box: NDArray, rounds: int = 60) -> NDArray:
    """Return the centres after balls that overlap have pushed each other away, in a periodic box."""
    for _ in range(rounds):
        tree = cKDTree(centres, boxsize=box)
        first, second = tree.query_pairs(min(2 * radii.max(), 0.49 * box.min()), output_type="ndarray").T
        apart = centres[first] - centres[second]
        apart -= box * np.round(apart / box)
        distance = np.linalg.norm(apart, axis=1, keepdims=True) + 1e-9
        push = 0.35 * np.maximum((radii[first] + radii[second])[:, None] - distance, 0) * apart / distance
        for axis, side in enumerate(box):
            moved = np.bincount(first, push[:, axis], len(radii)) - np.bincount(second, push[:, axis], len(radii))
            centres[:, axis] = (centres[:, axis] + moved) % side
    return centres


def _gauge(axes: list[Array], facets: Array, longer: NDArray) -> Array:
    """Return the factor by which a grain must grow to reach each point of the grid ``axes``."""
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)
    total = np.zeros([len(axis) for axis in axes], dtype=np.float32)
    # An ellipsoid 1.25 times the ball closes the grain where random facets leave it open.
    for x, side in zip(grid, longer, strict=True):
        total = total + (x / np.float32(1.25 * side)) ** 2
    total **= 8
    for facet in facets:
        projection = np.zeros_like(total)
        for x, normal in zip(grid, facet, strict=True):
            projection += x * normal
        np.maximum(projection, 0, out=projection)
        for _ in range(4):
            projection *= projection
        total += projection
    for _ in range(4):
        np.sqrt(total, out=total)
    return total
