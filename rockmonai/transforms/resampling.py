"""Blurring and resizing as small matrices, one product per axis: the same code for images and volumes.

A separable linear filter over an axis of ``n`` voxels is an ``(m, n)`` matrix. For the patches that training draws one
dense product per axis is faster than a convolution, its borders are exact, and it runs on any device.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

KERNELS = ("nearest", "area", "bilinear", "bicubic", "lanczos")


def gaussian_blur(x: torch.Tensor, sigma: float | Sequence[float]) -> torch.Tensor:
    """Return ``x`` smoothed by a gaussian, equal to ``scipy.ndimage.gaussian_filter(mode="reflect")``.

    Args:
        x: floating-point values (C, *spatial).
        sigma: standard deviation in voxels for every spatial axis, or one for each of the last axes.
    """
    sigmas = [sigma] * (x.ndim - 1) if isinstance(sigma, (int, float)) else sigma
    if not any(sigmas):
        return x
    return apply_along_axes(x, [gaussian_matrix(n, s) for n, s in zip(x.shape[-len(sigmas) :], sigmas, strict=True)])


def resample(x: torch.Tensor, size: Sequence[int], kernel: str = "bicubic", antialias: bool = True) -> torch.Tensor:
    """Return ``x`` with its last ``len(size)`` axes brought to ``size``; the outer faces of both grids coincide.

    Args:
        x: values with any number of leading axes. ``nearest`` keeps every dtype, the others return floating point.
        size: number of voxels wanted along the last axes.
        kernel: ``nearest``, ``area``, ``bilinear``, ``bicubic`` or ``lanczos``, see :func:`resampling_matrix`.
        antialias: widen the kernel when shrinking.
    """
    shape = x.shape[-len(size) :]
    if kernel == "nearest":
        for axis, (n_in, n_out) in enumerate(zip(shape, size, strict=True), start=x.ndim - len(size)):
            x = x.index_select(axis, torch.as_tensor(_nearest(n_in, n_out), device=x.device))
        return x
    x = x if x.is_floating_point() else x.float()
    pairs = zip(shape, size, strict=True)
    return apply_along_axes(x, [resampling_matrix(n_in, n_out, kernel, antialias) for n_in, n_out in pairs])


def apply_along_axes(x: torch.Tensor, matrices: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return ``x`` with the i-th of its last ``len(matrices)`` axes multiplied by the i-th matrix.

    Args:
        x: floating-point values with any number of leading axes.
        matrices: one (n_out, n_in) matrix per axis.
    """
    # Each product consumes the first of the axes and appends its result as the last, so a full round restores order.
    for matrix in matrices:
        x = torch.tensordot(x, matrix.to(x), dims=([-len(matrices)], [1]))
    return x


@lru_cache(maxsize=256)
def gaussian_matrix(n: int, sigma: float) -> torch.Tensor:
    """Return the (n, n) gaussian smoothing matrix, truncated at four ``sigma``."""
    if sigma == 0:
        return torch.eye(n)
    offsets = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
    return _band(n, offsets, np.exp(-0.5 * (offsets / sigma) ** 2))


@lru_cache(maxsize=256)
def box_matrix(n: int, width: int) -> torch.Tensor:
    """Return the (n, n) running mean over an odd ``width``, equal to ``scipy.ndimage.uniform_filter1d``."""
    offsets = np.arange(width) - width // 2
    return _band(n, offsets, np.ones(width))


@lru_cache(maxsize=256)
def shift_matrix(n: int, shift: float) -> torch.Tensor:
    """Return the (n, n) matrix that reads every voxel ``shift`` voxels further on, by linear interpolation."""
    whole = int(np.floor(shift))
    return _band(n, np.array([whole, whole + 1]), np.array([whole + 1 - shift, shift - whole]))


@lru_cache(maxsize=256)
def resampling_matrix(n_in: int, n_out: int, kernel: str, antialias: bool = True) -> torch.Tensor:
    """Return the (n_out, n_in) matrix that resizes an axis; its rows sum to one, also at the borders.

    ``bilinear``, ``bicubic`` (Keys, a = -0.5, https://doi.org/10.1109/TASSP.1981.1163711) and ``lanczos`` (three lobes)
    are those of Pillow. ``area`` is the mean over the footprint of the new voxel, and ``nearest`` takes the voxel that
    holds its centre; for these two ``antialias`` has no meaning.

    Raises:
        ValueError: an unknown kernel.
    """
    step = n_in / n_out
    centre = ((np.arange(n_out) + 0.5) * step)[:, None]
    left = np.arange(n_in)[None, :]
    if kernel == "nearest":
        weights = (left == _nearest(n_in, n_out)[:, None]).astype(float)
    elif kernel == "area":
        overlap = np.minimum(left + 1, centre + step / 2) - np.maximum(left, centre - step / 2)
        weights = np.clip(overlap, 0, None)
    elif kernel in _WEIGHTS:
        width = max(step, 1.0) if antialias else 1.0
        weights = _WEIGHTS[kernel](np.abs(left + 0.5 - centre) / width)
    else:
        raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, not {kernel!r}.")
    return torch.tensor(weights / weights.sum(1, keepdims=True), dtype=torch.float32)


def _band(n: int, offsets: np.ndarray, weights: np.ndarray) -> torch.Tensor:
    """Return the (n, n) matrix of a short filter whose image is mirrored at its faces (d c b a | a b c d | d c b a)."""
    columns = (np.arange(n)[:, None] + offsets) % (2 * n)
    columns = np.where(columns < n, columns, 2 * n - 1 - columns)
    matrix = np.zeros((n, n))
    np.add.at(matrix, (np.arange(n)[:, None], columns), weights / weights.sum())
    return torch.tensor(matrix, dtype=torch.float32)


def _nearest(n_in: int, n_out: int) -> np.ndarray:
    """Return, for each new voxel, the index of the old voxel that holds its centre."""
    return (2 * np.arange(n_out) + 1) * n_in // (2 * n_out)


def _bilinear(distance: np.ndarray) -> np.ndarray:
    return np.clip(1 - distance, 0, None)


def _bicubic(distance: np.ndarray) -> np.ndarray:
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


def _lanczos(distance: np.ndarray) -> np.ndarray:
    return np.where(distance < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)


_WEIGHTS = {"bilinear": _bilinear, "bicubic": _bicubic, "lanczos": _lanczos}
