"""Synthetic rocks as arrays: a sandstone in 2D or 3D and a shale section, each with its class map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from rockmonai.data.grain_pack import pack_grains, random_field


def sandstone(shape: Sequence[int], seed: int | Sequence[int], grain_size: float = 40.0) -> dict[str, NDArray]:
    """Return a noise-free scan of a sandstone and the classes it was drawn from.

    Args:
        shape: size in pixels, (y, x) or (z, y, x).
        seed: any seed of ``numpy.random.default_rng``.
        grain_size: median grain diameter in pixels.

    Returns:
        ``grey``, float32 in [0, 1], and ``semantic``, uint8: 0 pore, 1 grain, 2 clay, 3 bright mineral.
    """
    rng = np.random.default_rng(seed)
    pack = pack_grains(shape, rng, grain_size)
    rough = random_field(shape, rng, grain_size / 10, nu=1.0)
    patch = random_field(shape, rng, grain_size / 3)
    fine = random_field(shape, rng, 2.0, nu=0.7)

    # Shares are set by quantiles, so that they hold for every seed: open space first, then the clay that lines it.
    porosity, clay = rng.uniform(0.15, 0.22), rng.uniform(0.03, 0.06)
    depth = pack.depth + grain_size / 40 * rough
    surface = np.quantile(depth, 1 - porosity - clay)
    space = depth > surface
    affinity = patch + 0.4 * fine - (depth - surface) / (grain_size / 12)
    lining = space & (affinity > np.quantile(affinity[space], porosity / (porosity + clay)))

    kind = rng.random(len(pack.radii))
    heavy = (kind > 0.92) & (pack.radii < np.median(pack.radii))
    altered = (kind > 0.85) & (kind < 0.90)
    speck = rough + fine
    semantic = np.ones(shape, dtype=np.uint8)
    semantic[heavy[pack.owner] | (speck > np.quantile(speck, 0.9985))] = 3
    semantic[altered[pack.owner] & (patch + fine > 0.2)] = 2
    semantic[space] = 0
    semantic[lining] = 2

    level = 0.57 + 0.012 * rng.standard_normal(len(kind))
    level[kind < 0.15] += 0.06
    level[heavy] = rng.uniform(0.8, 0.95, int(heavy.sum()))
    texture = np.where(altered | heavy, 0.05, 0.007)
    grey = level.astype(np.float32)[pack.owner] + texture.astype(np.float32)[pack.owner] * fine
    grey[(pack.gap < 1.2) & (patch + rough > 1.0)] -= 0.12
    grey = np.choose(semantic, [0.15 + 0.008 * fine, grey, 0.40 + 0.04 * patch + 0.08 * fine, np.maximum(grey, 0.8)])
    return {"grey": gaussian_filter(grey, 0.7).clip(0.02, 1).astype(np.float32), "semantic": semantic}


def shale(shape: Sequence[int], seed: int | Sequence[int], grain_size: float = 48.0) -> dict[str, NDArray]:
    """Return an electron microscope's view of a bedded shale, noise included, and its classes.

    Bedding runs along the last axis. The shares are fixed: mineral 0.82, organic 0.11, pore 0.03, clay 0.04.

    Args:
        shape: size in pixels, (y, x) or (z, y, x).
        seed: any seed of ``numpy.random.default_rng``.
        grain_size: median diameter of a mineral grain in pixels.

    Returns:
        ``grey``, float32 in [0, 1], and ``semantic``, uint8: 0 mineral, 1 organic matter, 2 pore, 3 clay.
    """
    rng = np.random.default_rng(seed)
    bedding = np.ones(len(shape))
    bedding[-1], bedding[-2] = 1.3, 0.75
    pack = pack_grains(shape, rng, grain_size, spread=0.5, fill=0.95, stretch=bedding)
    bubbles = pack_grains(shape, rng, grain_size / 7, spread=0.5, fill=0.5).depth
    plates = pack_grains(shape, rng, grain_size / 7, stretch=bedding**4, fill=0.9).depth
    beds = random_field(shape, rng, grain_size * bedding**4)
    patch = random_field(shape, rng, grain_size / 2 * bedding)
    fine = random_field(shape, rng, 2.0, nu=0.7)

    # Organic matter fills what the grains leave open, bubbles open inside it, clay plates lie along its walls.
    depth = pack.depth + grain_size / 12 * beds + grain_size / 8 * patch + fine
    wall = depth - np.quantile(depth, 1 - 0.14)
    pore = _top_share(np.where(wall > 1, patch - bubbles, -np.inf), 0.03)
    clay = _top_share(np.where(pore, -np.inf, patch - plates / 2 - np.abs(wall + 1) / 4), 0.04)
    organic = _top_share(np.where(pore | clay, -np.inf, wall), 0.11)
    semantic = (organic + 2 * pore + 3 * clay).astype(np.uint8)

    level = 0.46 + 0.018 * rng.standard_normal(len(pack.radii))
    level[rng.random(len(level)) > 0.97] = 0.72
    grey = level.astype(np.float32)[pack.owner] + 0.008 * fine
    framboid = (patch > 1.5) & (bubbles < -1) & (wall > -grain_size / 6) & (semantic == 0)
    grey = np.where(framboid, 0.85, grey)
    grey = np.choose(semantic, [grey, 0.25 + 0.02 * fine, 0.06, 0.36 + 0.12 * fine])
    # Secondary electrons leave edges easily: the walls of pores shine.
    grey = grey + 0.35 * np.where(pore, 0, gaussian_filter(pore.astype(np.float32), 1.5))
    grey = gaussian_filter(grey, 0.7) + 0.025 * rng.standard_normal(shape, dtype=np.float32)
    return {"grey": grey.clip(0.01, 1).astype(np.float32), "semantic": semantic}


def _top_share(score: NDArray, share: float) -> NDArray[np.bool_]:
    """Return the pixels with the highest score that make up ``share`` of the image."""
    return score > np.quantile(score, 1 - share, method="nearest")
