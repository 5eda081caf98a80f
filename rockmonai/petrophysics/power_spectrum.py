"""How coarse or fine the texture of an image is: its power spectrum, averaged over all directions."""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from rockmonai.errors import DataError

_SHORTEST = 8  # voxels along an axis; below, the window leaves next to nothing


def power_spectrum(image: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the radially averaged power spectrum of the greys: frequencies and the mean power at each, both (N,).

    The mean is taken off and a Hann window applied, since a scan does not go on periodically: without it the step from
    one border to the other hides how little texture there is at high frequencies. The power is the squared modulus of
    the Fourier transform over the sum of the squared window: white noise has its variance at all frequencies, and the
    mean over all modes is the mean square of what was transformed. Frequencies are in rings (shells in 3D) one mode of
    the shortest axis wide. Welch, IEEE Trans. Audio Electroacoust. 15, 1967, https://doi.org/10.1109/TAU.1967.1161901

    Args:
        image: greys ([Z,] Y, X).

    Returns:
        The mean frequency of each ring in cycles per voxel, rising from 0, and its power in squared greys. From 0.5,
        beyond which the axes have no modes, the rings are corners only.

    Raises:
        DataError: for another number of axes than 2 or 3, less than 8 voxels along one, NaN or infinite values.
    """
    grey = np.asarray(image, dtype=np.float64)
    if grey.ndim not in (2, 3) or min(grey.shape) < _SHORTEST:
        raise DataError(f"A power spectrum is that of ([Z,] Y, X) of {_SHORTEST} voxels or more, not of {grey.shape}.")
    if not np.isfinite(grey).all():
        raise DataError("There is no power spectrum of an image with NaN or infinite values: look for them in it.")
    window = reduce(np.multiply.outer, [np.hanning(side + 1)[:-1] for side in grey.shape])
    seen = (grey - np.average(grey, weights=window)) * window
    power = np.abs(fft.fftn(seen)) ** 2 / np.square(window).sum()

    axes = np.meshgrid(*map(fft.fftfreq, grey.shape), indexing="ij", sparse=True)
    radius = np.sqrt(sum(np.square(axis) for axis in axes))
    ring = np.rint(radius * min(grey.shape)).astype(np.intp).ravel()
    modes = np.bincount(ring)
    return np.bincount(ring, radius.ravel()) / modes, np.bincount(ring, power.ravel()) / modes
