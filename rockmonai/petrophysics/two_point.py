"""How likely two points at a distance lie both in the pores: the two-point probability."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from rockmonai.errors import DataError, UsageError
from rockmonai.petrophysics.masks import Mask, as_mask

_CHUNK = 2**22  # voxels that are transformed at a time


def two_point_correlation(mask: Mask, lags: int) -> NDArray[np.float64]:
    """Return the two-point probability S2 along each axis of a mask, (axes, lags), from 0 to 1.

    ``S2[axis, r]`` is the share of the pairs of voxels r apart along ``axis`` of which both are pore. At lag 0 it is
    the porosity, and far apart, where one pore says nothing about another, its square. The pairs are those inside the
    mask, which is not continued periodically. Torquato, Random Heterogeneous Materials, Springer 2002,
    https://doi.org/10.1007/978-1-4757-6355-3

    Args:
        mask: ([Z,] Y, X), 1 or True in the pores and 0 elsewhere; the axes of the result are in this order.
        lags: how many distances, from 0 to ``lags`` - 1 voxels.

    Raises:
        DataError: for something else than a mask, or one that is shorter than ``lags`` along an axis.
        UsageError: for less than one lag.
    """
    pores = as_mask(mask)
    if lags < 1:
        raise UsageError(f"A two-point probability has one lag or more, found lags={lags}.")
    if lags > min(pores.shape):
        raise DataError(
            f"Voxels of a mask {pores.shape} are at most {min(pores.shape) - 1} apart along its shortest axis, found "
            f"lags={lags}: take larger images or fewer lags."
        )
    return np.stack([_along(np.moveaxis(pores, axis, -1), lags) for axis in range(pores.ndim)])


def _along(pores: NDArray[np.bool_], lags: int) -> NDArray[np.float64]:
    """Return S2 along the last axis, (lags,)."""
    side = pores.shape[-1]
    padded = fft.next_fast_len(side + lags - 1, real=True)  # far enough that no pair closes around the end
    power: NDArray[Any] = np.zeros(padded // 2 + 1)
    rows = max(1, _CHUNK // pores[0].size)
    for first in range(0, len(pores), rows):
        spectrum = fft.rfft(pores[first : first + rows].astype(np.float64), padded)
        power += (spectrum.real**2 + spectrum.imag**2).reshape(-1, power.size).sum(0)
    both = fft.irfft(power, padded)[:lags].round()  # numbers of pairs, which are whole
    return both / ((side - np.arange(lags)) * math.prod(pores.shape[:-1]))


def two_point_error(pred: Mask, label: Mask, lags: int) -> float:
    """Return how far the two-point probability of a mask is from that of its label, from 0.

    The root mean square of the difference over the lags and axes, divided by p (1 - p) of the label with its porosity
    p: that is how far the curve of an uncorrelated rock falls, from p to p squared. It mixes an error of the porosity
    with one of the arrangement, since the curve begins at the porosity. NaN where the label is all pore or all solid.

    Args:
        pred: ([Z,] Y, X), 1 or True in the pores and 0 elsewhere.
        label: what it should be, same number of axes.
        lags: how many distances, from 0 to ``lags`` - 1 voxels.

    Raises:
        DataError: as for :func:`two_point_correlation`, or for an image and a volume.
        UsageError: for less than one lag.
    """
    curve, wanted = two_point_correlation(pred, lags), two_point_correlation(label, lags)
    if len(curve) != len(wanted):
        raise DataError(f"An image and a volume have no curves in common, found {len(curve)} and {len(wanted)} axes.")
    pore = float(wanted[0, 0])
    fall = pore * (1 - pore)
    return float(np.sqrt(np.mean((curve - wanted) ** 2))) / fall if fall else float("nan")
