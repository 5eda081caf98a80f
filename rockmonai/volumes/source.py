"""What a format hands over: an array-like on disk, what its axes mean, and how to let go of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rockmonai.volumes.indexing import spatial_axes

# Lengths of a chunk by number of spatial axes: a quarter of a megabyte of 8 bit voxels.
CHUNK = {2: 512, 3: 64}


def _nothing() -> None:
    """Have nothing to release."""


@dataclass
class Source:
    """An image on disk in the order of its own format, before colours and axes are sorted out.

    Attributes:
        array: anything with ``shape``, ``dtype`` and basic slicing that reads only what is asked.
        axes: one letter per axis of ``array``: Z, Y, X; C for channels; S for colour samples; T for an axis of
            length 1 that is dropped.
        spacing: micrometres along (z,) y, x, whatever the order of ``axes``; None where the file does not say.
        close: releases the file.
        samples: how many of the colour samples carry colour (3, or 1 beside an alpha sample).
        white: the value that means black in a file whose zero is white (MINISWHITE); None for the usual order.
        palette: colours of the indices in the array, (3, N); None where values are grey levels.
    """

    array: Any
    axes: str
    spacing: tuple[float, ...] | None = None
    close: Callable[[], None] = _nothing
    samples: int = 3
    white: int | None = None
    palette: np.ndarray | None = None


@dataclass(frozen=True)
class Layout:
    """What a new file shall hold.

    Attributes:
        shape: (C, Z, Y, X) or (C, Y, X).
        dtype: of the values.
        spacing: micrometres along (z,) y, x; None where unknown.
        chunks: lengths along (z,) y, x of the pieces in which the file will be written.
        colour: whether the three channels are red, green and blue, which TIFF and PNG interleave.
        names: of the slices of a folder; None to number them.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    spacing: tuple[float, ...] | None
    chunks: tuple[int, ...]
    colour: bool = False
    names: tuple[str, ...] | None = None

    @property
    def axes(self) -> str:
        """The axes worth storing: C only where there are several channels."""
        return "C" * (self.shape[0] > 1) + spatial_axes(len(self.shape))

    @property
    def stored(self) -> tuple[int, ...]:
        """Lengths of `axes`."""
        return self.shape[-len(self.axes) :]


@dataclass
class Sink:
    """A file being written, in the order of its own format.

    Attributes:
        array: anything that takes basic slice assignment.
        axes: one letter per axis of ``array``: C, Z, Y, X.
        finish: completes and releases the file; called once, only when all went well.
        discard: releases the file without completing it.
    """

    array: Any
    axes: str
    finish: Callable[[], None] = _nothing
    discard: Callable[[], None] = _nothing
