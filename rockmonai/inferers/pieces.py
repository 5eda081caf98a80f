"""A piece of an image on its way through a network: right to its last voxel, and smaller after every layer.

A layer pads its input at the border of the image. Inside the image there is nothing to pad: the piece comes out smaller
instead. It is padded only where it touches the border of the whole, and always knows which part of the whole it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F


class UnknownLayer(Exception):
    """There is no rule for what a layer makes of a piece; a halo as wide as the network's reach serves any network."""


class TooSmall(ValueError):
    """Nothing is left of a piece."""


@dataclass(frozen=True)
class Piece:
    """A part of an image, or of what a layer makes of one.

    Attributes:
        values: (B, C, [Z,] Y, X).
        start: where the piece begins in the whole, per spatial axis.
        whole: lengths of the whole.
    """

    values: torch.Tensor
    start: tuple[int, ...]
    whole: tuple[int, ...]

    @property
    def stop(self) -> tuple[int, ...]:
        """Where the piece ends in the whole."""
        return tuple(a + n for a, n in zip(self.start, self.values.shape[2:], strict=True))

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Piece:
        """Return the piece with a function applied to each of its voxels."""
        return replace(self, values=function(self.values))

    def finer(self, values: torch.Tensor, factors: Sequence[int]) -> Piece:
        """Return the same part of a whole that is so many times finer, with its new values."""
        start, whole = (tuple(n * f for n, f in zip(part, factors, strict=True)) for part in (self.start, self.whole))
        return Piece(values, start, whole)

    def between(self, start: Sequence[int], stop: Sequence[int]) -> Piece:
        """Return the part between two corners of the whole, a view.

        Raises:
            TooSmall: if there is none, or not all of it.
        """
        values = self.values
        for axis, (low, high, begin, end) in enumerate(zip(start, stop, self.start, self.stop, strict=True)):
            if not begin <= low < high <= end:
                raise TooSmall("the piece is too small for the layers that it goes through")
            values = values.narrow(axis + 2, low - begin, high - low)
        return replace(self, values=values, start=tuple(start))

    def trimmed(self, before: Sequence[int], after: Sequence[int]) -> Piece:
        """Return the piece without so many voxels at each end that lies inside the whole."""
        return self.between(
            [a + width * (a > 0) for a, width in zip(self.start, before, strict=True)],
            [b - width * (b < n) for b, n, width in zip(self.stop, self.whole, after, strict=True)],
        )

    def padded(self, widths: Sequence[int], mode: str, value: float = 0.0) -> Piece:
        """Return the piece, padded where it touches the border, as a part of the padded whole.

        Args:
            widths: the padding of the whole, on each side of each axis.
            mode: ``"zeros"`` (or another ``value``), ``"reflect"`` or ``"replicate"``.
            value: what is padded with in the mode ``"zeros"``.
        """
        ends = [
            width * touches
            for a, b, n, width in zip(self.start, self.stop, self.whole, widths, strict=True)
            for touches in (b == n, a == 0)
        ]
        values = self.values
        if any(ends) and mode == "zeros":
            values = F.pad(values, ends[::-1], value=value)
        elif any(ends):
            values = F.pad(values, ends[::-1], mode=mode)
        start = tuple(a + width * (a > 0) for a, width in zip(self.start, widths, strict=True))
        return Piece(values, start, tuple(n + 2 * width for n, width in zip(self.whole, widths, strict=True)))


def together(function: Callable[..., torch.Tensor], pieces: Sequence[Piece]) -> Piece:
    """Return a function of several pieces of equally large wholes, where all of them are."""
    start = [max(places) for places in zip(*(piece.start for piece in pieces), strict=True)]
    stop = [min(places) for places in zip(*(piece.stop for piece in pieces), strict=True)]
    parts = [piece.between(start, stop) for piece in pieces]
    return replace(parts[0], values=function(*(part.values for part in parts)))
