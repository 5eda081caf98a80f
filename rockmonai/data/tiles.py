"""Fixed tiles: every window of a grid over the images, without those that show a single class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rockmonai.errors import DataError
from rockmonai.volumes import open_volume


def tiles(
    data: Sequence[Mapping[str, Any]],
    size: int | Sequence[int],
    stride: int | Sequence[int],
    transform: Callable[[dict], Mapping[str, Any]] | None = None,
    dominant: float = 1.0,
) -> list[dict[str, Any]]:
    """Return a record for each window of ``size`` at multiples of ``stride`` that fits into its image, or its ``roi``.

    The records have the window as their ``roi`` and its corner in their name: ``1_y0032_x0064``. Neighbours overlap
    where the stride is smaller than the size, so tiles of one image belong to one split.

    Args:
        data: records of images or volumes (see :func:`rockmonai.data.pairs`).
        size: length of a window in voxels, one number or one per axis. A slice of a volume is one voxel thick.
        stride: from one window to the next, likewise.
        transform: makes of a record the whole class map (1, *spatial) of its image or ``roi`` in ``"label"``; called
            once for each record. ``None`` keeps every window.
        dominant: a window is left out if one class has this share of it or more; 1 leaves out those of a single class.

    Raises:
        DataError: no window fits, or is left.
    """
    found: list[dict[str, Any]] = []
    for record in data:
        classes = None if transform is None else np.asarray(transform(dict(record))["label"])
        region = record.get("roi") or [[0, n] for n in _shape(record, classes)]
        extent = [stop - start for start, stop in region]
        lengths, steps = (_along(extent, number) for number in (size, stride))
        corners = [range(0, n - length + 1, step) for n, length, step in zip(extent, lengths, steps, strict=True)]
        kept = np.ones([len(starts) for starts in corners], dtype=bool)
        if classes is not None:
            kept = _greatest(classes.reshape(extent), lengths, steps) < dominant * prod(lengths)
        for corner in (corner for corner, keep in zip(product(*corners), kept.flat, strict=True) if keep):
            first = [at + start for at, (start, _) in zip(corner, region, strict=True)]
            window = [[at, at + length] for at, length in zip(first, lengths, strict=True)]
            place = [
                f"_{axis}{at:04d}" for axis, at, n in zip("zyx"[-len(first) :], first, extent, strict=True) if n > 1
            ]
            found.append({**record, "name": f"{record['name']}{''.join(place)}", "roi": window})
    if not found:
        raise DataError(
            f"No window of {size} voxels of {len(data)} images is left to learn from: pass a smaller size or, if one "
            f"class has {dominant:.0%} of each, a larger share for the dominant class."
        )
    return found


def window_sums(x: NDArray, size: Sequence[int], stride: Sequence[int]) -> NDArray[np.int64]:
    """Return the sum of ``x`` over each window of ``size`` at multiples of ``stride``, for all that fit.

    Args:
        x: integers or truth values, of any number of axes.
        size: length of a window along each axis.
        stride: from one window to the next along each axis.
    """
    sums = x.astype(np.int64)
    for axis, (length, step) in enumerate(zip(size, stride, strict=True)):
        up_to = np.insert(np.cumsum(sums, axis), 0, 0, axis)
        first = np.arange(0, sums.shape[axis] - length + 1, step)
        sums = up_to.take(first + length, axis) - up_to.take(first, axis)
    return sums


def _greatest(classes: NDArray, size: Sequence[int], stride: Sequence[int]) -> NDArray[np.int64]:
    """Return how many voxels of each window are of the class that has the most."""
    greatest = window_sums(classes == 0, size, stride)
    for number in range(1, int(classes.max()) + 1):
        np.maximum(greatest, window_sums(classes == number, size, stride), out=greatest)
    return greatest


def _along(extent: Sequence[int], number: int | Sequence[int]) -> list[int]:
    """Return a length for each axis, 1 where there is a single voxel."""
    each = list(number) if isinstance(number, Sequence) else [number] * len(extent)
    each = [1] * (len(extent) - len(each)) + each
    return [1 if n == 1 else length for n, length in zip(extent, each, strict=True)]


def _shape(record: Mapping[str, Any], classes: NDArray | None) -> Sequence[int]:
    if classes is not None:
        return classes.shape[1:]
    return open_volume(record.get("label") or record["image"], grey="keep").spatial_shape
