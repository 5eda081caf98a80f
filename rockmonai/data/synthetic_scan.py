"""Instruments that look at a synthetic rock: a low-resolution scanner, an X-ray and an electron microscope."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from rockmonai.data.grain_pack import Array, random_field


def noisy(grey: Array, rng: np.random.Generator, sigma: float = 0.02) -> Array:
    """Return ``grey`` in [0, 1] with Gaussian detector noise of standard deviation ``sigma``."""
    return (grey + sigma * rng.standard_normal(grey.shape, dtype=np.float32)).clip(0, 1)


def degrade(grey: Array, scale: int, rng: np.random.Generator, blur: float = 0.5, sigma: float = 0.02) -> Array:
    """Return the low-resolution scan of a noise-free image: optical blur, area average, detector noise.

    Args:
        grey: image in [0, 1], every side divisible by ``scale``.
        scale: pixels of ``grey`` along one side of a low-resolution pixel.
        rng: the source of the noise.
        blur: standard deviation of the optical blur in low-resolution pixels.
        sigma: standard deviation of the noise.
    """
    blurred = gaussian_filter(grey, blur * scale)
    blocks = blurred.reshape([n for side in grey.shape for n in (side // scale, scale)])
    return noisy(blocks.mean(axis=tuple(range(1, 2 * grey.ndim, 2))), rng, sigma)


def xray_microscope(grey: Array, rng: np.random.Generator) -> Array:
    """Return a transmission X-ray microscope's image on the same grid: blurred, low in contrast, noisy."""
    return noisy(0.3 + 0.35 * gaussian_filter(grey, 2.0), rng, 0.025)


def electron_microscope(
    grey: Array, semantic: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[Array, NDArray[np.bool_]]:
    """Return a scanning electron microscope's image and the mask of the 3 % of pixels lost to charging.

    The image is sharp and high in contrast. Charge gathers on clay and bright minerals and spreads along the
    scan lines of the last axis; every slice of a volume charges on its own.
    """
    insulating = gaussian_filter((semantic >= 2).astype(np.float32), 4)
    along_line = (1.0,) * (grey.ndim - 2) + (2.0, 16.0)
    score = random_field(grey.shape, rng, along_line) + random_field(grey.shape, rng, 10.0) + 2 * insulating
    threshold = np.quantile(score, 0.97)
    sharp = 1.3 * (grey - 0.1) + 0.5 * (grey - gaussian_filter(grey, 1.5))
    glow = (3 * (score - threshold)).clip(0, 1)
    return noisy(np.maximum(sharp, 0.03) * (1 - glow) + 0.97 * glow, rng, 0.015), score > threshold
