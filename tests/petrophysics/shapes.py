"""Pores of known walls."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Mask = NDArray[np.bool_]


def ball(radius: float, centre: tuple[float, ...], shape: tuple[int, ...]) -> Mask:
    """A disc or a sphere around ``centre``."""
    return sum((x - c) ** 2 for x, c in zip(np.ogrid[tuple(map(slice, shape))], centre, strict=True)) <= radius**2


def koch_curve(level: int, side: float, size: int) -> NDArray[np.complex128]:
    """The corners x + iy of a closed Koch snowflake in the middle of an image, 3 * 4 ** level + 1."""
    corners = (size / 2) * (1 + 1j) + side / math.sqrt(3) * np.exp(2j * math.pi * np.arange(4) / 3 + 0.5j)
    for _ in range(level):
        start, third = corners[:-1], np.diff(corners) / 3
        bump = start + third + third * np.exp(-1j * math.pi / 3)
        corners = np.append(np.stack([start, start + third, bump, start + 2 * third], 1).ravel(), corners[-1])
    return corners


def koch_snowflake(level: int, side: float, size: int) -> Mask:
    """What it encloses."""
    image = Image.new("1", (size, size))
    ImageDraw.Draw(image).polygon([(z.real, z.imag) for z in koch_curve(level, side, size)], fill=1)
    return np.array(image)


def random_pores(shape: tuple[int, ...], smoothing: float, porosity: float = 0.25) -> Mask:
    """Random pores with smooth walls, as wide as the ``smoothing`` says; their statistics do not feel the border."""
    margin = math.ceil(4 * smoothing)
    noise = np.random.default_rng(0).normal(size=[side + 2 * margin for side in shape])
    field = ndimage.gaussian_filter(noise, smoothing)[tuple(slice(margin, -margin) for _ in shape)]
    return field < np.quantile(field, porosity)
