"""How a large volume is cut into blocks: what each owns, and what it reads beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Block:
    """A piece of a volume, in voxels of the input along (z,) y, x.

    Attributes:
        index: its number; neighbours along x follow each other.
        core: the voxels that this block alone answers for.
        read: the core and the halo around it, as far as the volume reaches.
    """

    index: int
    core: Box
    read: Box

    def output(self, scale: Sequence[int]) -> Box:
        """Return the core in voxels of an output that is ``scale`` times finer along each axis."""
        return scaled(self.core, scale)


def cut(shape: Sequence[int], size: Sequence[int], read: Callable[[Box], Box]) -> list[Block]:
    """Return the blocks that cover a volume, each of its voxels once.

    Args:
        shape: of the volume along (z,) y, x.
        size: of a block's core; blocks at the far faces are smaller.
        read: returns what is read for a core.
    """
    cores = boxes(tuple(slice(0, length) for length in shape), size)
    return [Block(index, core, read(core)) for index, core in enumerate(cores)]


def boxes(frame: Box, size: Sequence[int]) -> Iterator[Box]:
    """Yield the pieces of ``frame`` of at most ``size``, along x first."""
    starts = [range(part.start, part.stop, step) for part, step in zip(frame, size, strict=True)]
    for corner in product(*starts):
        yield tuple(slice(at, min(at + step, part.stop)) for at, step, part in zip(corner, size, frame, strict=True))


def grown(core: Box, shape: Sequence[int], halo: Sequence[int], stride: Sequence[int]) -> Box:
    """Return ``core`` grown by the halo, clipped to the volume.

    A box never reaches beyond the volume, so that the padding of a network acts at the faces as it does on the whole
    volume, and nowhere else. It starts at a multiple of ``stride``, and ends at one or at the face: a network that
    halves its grid must be given boxes that lie on it.
    """
    return tuple(
        slice(max(0, (part.start - h) // s * s), min(length, math.ceil((part.stop + h) / s) * s))
        for part, length, h, s in zip(core, shape, halo, stride, strict=True)
    )


def scaled(box: Box, scale: Sequence[int]) -> Box:
    """Return ``box`` in voxels that are ``scale`` times finer along each axis."""
    return tuple(slice(part.start * s, part.stop * s) for part, s in zip(box, scale, strict=True))


def within(box: Box, frame: Box) -> Box:
    """Return ``box`` as seen from the first voxel of ``frame``."""
    return tuple(
        slice(part.start - outer.start, part.stop - outer.start) for part, outer in zip(box, frame, strict=True)
    )


def size_of(box: Box) -> tuple[int, ...]:
    """Return the lengths of ``box`` along its axes."""
    return tuple(part.stop - part.start for part in box)


def in_words(sizes: Sequence[int]) -> str:
    """Return lengths as a message has them, such as ``48 x 48 x 32``."""
    return " x ".join(map(str, sizes))
