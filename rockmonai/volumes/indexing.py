"""Basic slices over a lazy array, made explicit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def spatial_axes(ndim: int) -> str:
    """Return ``"ZYX"`` for a volume of 4 axes (channel first) and ``"YX"`` for an image of 3."""
    return "ZYX"[4 - ndim :]


def resolve(index: Any, shape: Sequence[int]) -> tuple[tuple[slice, ...], tuple[int | slice, ...]]:
    """Return full slices with explicit bounds over ``shape``, and what then removes the axes indexed by an integer.

    Args:
        index: integers, slices with a positive step and at most one ellipsis.
        shape: the shape that is indexed.

    Raises:
        IndexError: too many axes, an integer out of range, a negative step, or an index that is neither.
    """
    items = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in items:
        at = items.index(Ellipsis)
        items[at : at + 1] = [slice(None)] * (len(shape) - len(items) + 1)
    if len(items) > len(shape):
        raise IndexError(f"{len(items)} indices for the {len(shape)} axes of {tuple(shape)}")
    items += [slice(None)] * (len(shape) - len(items))

    slices: list[slice] = []
    for item, length in zip(items, shape, strict=True):
        if isinstance(item, slice):
            start, stop, step = item.indices(length)
            if step < 0:
                raise IndexError("a volume on disk is sliced with positive steps")
            slices.append(slice(start, max(start, stop), step))
        else:
            at = range(length)[item]
            slices.append(slice(at, at + 1, 1))
    return tuple(slices), tuple(slice(None) if isinstance(item, slice) else 0 for item in items)


def lengths(slices: Sequence[slice]) -> tuple[int, ...]:
    """Return how many values each explicit slice takes."""
    return tuple(len(range(s.start, s.stop, s.step)) for s in slices)
