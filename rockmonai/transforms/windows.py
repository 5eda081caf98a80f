"""Where a window may lie so that every side of a pair can be cut on whole voxels: integer geometry, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm
from typing import NamedTuple

from rockmonai.errors import DataError, UsageError
from rockmonai.volumes.blocks import in_words


class Side(NamedTuple):
    """One side of a pair: its name, spatial shape, scale per axis, and misalignment in reference voxels."""

    name: str
    shape: tuple[int, ...]
    scale: tuple[int, ...]
    shift: tuple[int, ...]

    def box(self, corner: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
        """Return the window of ``size`` at ``corner``, both in reference voxels, as slices of this side."""
        spans = zip(corner, size, self.scale, self.shift, strict=True)
        return tuple(slice((first + d) // s, (first + d + n) // s) for first, n, s, d in spans)


def scale_between(name: str, shape: Sequence[int], reference: Sequence[int]) -> tuple[int, ...]:
    """Return how many reference voxels make one voxel of ``shape`` along each axis.

    Args:
        name: what the user calls the coarser side.
        shape: spatial shape of the coarser side.
        reference: spatial shape of the finer side; up to ``scale - 1`` voxels may be left over at its end.

    Raises:
        DataError: the shapes are not linked by an integer scale.
    """
    scale = tuple(max(n // m, 1) for n, m in zip(reference, shape, strict=False))
    if len(reference) != len(shape) or any(n // s != m for n, s, m in zip(reference, scale, shape, strict=True)):
        raise DataError(
            f"{name} has {in_words(shape)} voxels, which is not {in_words(reference)} divided by an integer scale: "
            "check that both sides of the pair show the same sample."
        )
    return scale


def corner_choices(
    axis: int, sides: Sequence[Side], patch: int | None, region: Sequence[int] | None = None, multiple: int = 1
) -> tuple[range, int]:
    """Return every corner that a window may have along ``axis``, and its length; both in reference voxels.

    Every corner is a multiple of every scale, so a coarse corner times its scale is the fine corner, without rounding.

    Args:
        axis: the spatial axis.
        sides: what is cut with the same window.
        patch: length of the window; ``None`` for the longest that fits, at the first corner.
        region: first voxel and end (exclusive) that an unshifted window may use; ``None`` for the whole axis.
        multiple: what the longest window shall be a multiple of, beside every scale.

    Raises:
        UsageError: a length or a misalignment that is no whole number of voxels on every side.
        DataError: nothing as long as the window fits.
    """
    for side in sides:
        if side.shift[axis] % side.scale[axis]:
            raise UsageError(
                f"A misalignment of {side.shift[axis]} voxels is no whole number of voxels of {side.name}: "
                f"make it a multiple of {side.scale[axis]}."
            )
    step = lcm(*(side.scale[axis] for side in sides))
    if patch is not None and patch % step:
        raise UsageError(f"A patch of {patch} voxels cannot be linked at scale {step}: make it a multiple of {step}.")
    length = min(side.shape[axis] * side.scale[axis] for side in sides)
    shifts = [0, *(side.shift[axis] for side in sides)]
    start, stop = region or (0, length)
    first = -(-max(start, -min(shifts)) // step) * step
    stop = min(stop, length - max(shifts))
    unit = lcm(step, multiple)
    size = (stop - first) // unit * unit if patch is None else patch
    corners = range(first, stop - size + 1, step)[: 1 if patch is None else None]
    if size < 1 or not corners:
        raise DataError(
            f"{sides[0].name} has {max(stop - first, 0)} voxels to cut from along axis {axis}, too few for a window of "
            f"{patch or unit}: choose a smaller patch_size or a larger region."
        )
    return corners, size
