"""What a voxel of a network's output depends on: reach, stride and scale, measured rather than typed in."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from rockmonai.errors import ModelError, UsageError
from rockmonai.inferers.slicewise import AXES, Slicewise
from rockmonai.volumes.blocks import Box, grown

# Who reads farther than this looks at everything; the U-Net of pix2pix, the farthest-reading network in use, reads 765.
LONGEST_REACH = 768
_SIDES = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256)
_PERIODS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
# Of the standard deviation of an output: far above rounding, far below what a wrong alignment does.
_SAME = 1e-4


@dataclass(frozen=True)
class Footprint:
    """What a network reads for one voxel of its output, per axis (z,) y, x.

    Attributes:
        reach: radius of the receptive field in voxels of the input; None where the network looks at everything, as
            one that normalises by the statistics of its input does, or where its output depends on the size of the
            image, as an interpolation with aligned corners does.
        stride: the network's alignment: an input moved by a multiple of it gives the output moved likewise, an input
            moved by anything else may not.
        scale: voxels of the output per voxel of the input.
        smallest: the shortest side that the network accepts, in voxels of the input.
        channels: of the output.
    """

    reach: tuple[int | None, ...]
    stride: tuple[int, ...]
    scale: tuple[int, ...]
    smallest: tuple[int, ...]
    channels: int

    @property
    def finite(self) -> bool:
        """Whether every voxel of the output depends on a bounded part of the input."""
        return None not in self.reach

    def frame(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of an image of ``shape``, mirrored at its far faces up to a multiple of the stride."""
        return tuple(math.ceil(n / s) * s for n, s in zip(shape, self.stride, strict=True))

    def read(self, core: Box, frame: Sequence[int], halo: Sequence[int]) -> Box:
        """Return what of an image of the shape ``frame`` to give the network for ``core`` and a halo around it."""
        # A halo that is not the reach may leave a thin core at a face with less than the network accepts.
        least = [max(h, n - s) for h, n, s in zip(halo, self.smallest, self.stride, strict=True)]
        return grown(core, frame, least, self.stride)

    def stacked(self, axis: int) -> Footprint:
        """Return the footprint of a volume whose slices perpendicular to ``axis``, of 0 to 2, have this one each."""

        def along(own: tuple, value: int) -> tuple:
            return (*own[:axis], value, *own[axis:])

        sizes = along(self.reach, 0), along(self.stride, 1), along(self.scale, 1), along(self.smallest, 1)
        return Footprint(*sizes, self.channels)

    def as_dict(self) -> dict[str, Any]:
        """Return the values as JSON has them."""
        return json.loads(json.dumps(asdict(self)))


def footprint(network: nn.Module, spatial_dims: int, in_channels: int = 1) -> Footprint:
    """Measure what ``network`` reads, by spoiling voxels of its input with NaN and finding them in its output.

    No weight can hide a NaN (0 times NaN is NaN), so that the reach is that of the architecture: exact, and the same
    after every training. Noise that is moved then shows whether the output follows. Each axis is probed with a thin
    strip along it, on the CPU in float32.

    Args:
        network: maps (B, in_channels, [Z,] Y, X) to (B, C, [sZ,] sY, sX); it is not changed.
        spatial_dims: 2 or 3.
        in_channels: channels of its input.

    Raises:
        ModelError: if its output is not an integer number of times as large as its input.
    """
    if isinstance(network, Slicewise):
        return footprint(network.network, 2, in_channels).stacked(AXES[network.axis] - 2)
    probed = copy.deepcopy(network).cpu().float().eval()
    with torch.inference_mode():
        side, scale, channels = _smallest(probed, spatial_dims, in_channels)
        sides, hole = (side,) * spatial_dims, _hole(probed) * side
        strips = [_Strip(probed, in_channels, sides, axis, scale[axis], hole) for axis in range(spatial_dims)]
        measured = [strip.measure() for strip in strips]
    reach, stride = zip(*measured, strict=True)
    if _aligns_corners(probed):
        reach = (None,) * spatial_dims
    return Footprint(reach, stride, scale, sides, channels)


def _smallest(network: nn.Module, spatial_dims: int, in_channels: int) -> tuple[int, tuple[int, ...], int]:
    """Return the side of the smallest cube that goes through the network, its scale per axis, its output channels."""
    reason = "its output is not a whole number of times as large as its input"
    for side in _SIDES:
        try:
            (_, channels, *once), (_, _, *twice) = (
                network(torch.zeros(2, in_channels, *[n] * spatial_dims)).shape for n in (side, 2 * side)
            )
        except (
            RuntimeError,
            ValueError,
            TypeError,
            AttributeError,
            UsageError,
        ) as error:  # too small for a reflection, a pooling or a skip connection
            reason = str(error).splitlines()[0].rstrip(".")
            continue
        scale = tuple(length // side for length in once)
        if all(s and a == s * side and b == 2 * a for s, a, b in zip(scale, once, twice, strict=True)):
            return side, scale, channels
        if any(0 < a < side and side % a == 0 and b == 2 * a for a, b in zip(once, twice, strict=True)):
            reason = "its output is coarser than its input"
            break  # before it is given the largest images
    raise ModelError(
        f"{type(network).__name__} cannot be applied block by block ({reason}): take a network for {spatial_dims}D "
        f"images of {in_channels} channels whose output is as large as its input or an integer number of times larger."
    )


def _hole(network: nn.Module) -> int:
    """Return how many voxels the sparsest kernel leaves out between two that it reads."""
    given = (getattr(layer, "dilation", 1) for layer in network.modules())
    return max(max(value) if isinstance(value, tuple) else value for value in given) - 1


def _aligns_corners(network: nn.Module) -> bool:
    """Tell whether the grids of ``network`` depend on the image's size; an untrained one may weigh that too little."""
    return any(getattr(layer, "align_corners", None) for layer in network.modules())


@dataclass
class _Strip:
    """A thin image along one axis, in which single voxels are spoiled."""

    network: nn.Module
    in_channels: int
    sides: tuple[int, ...]
    axis: int
    scale: int
    hole: int

    def measure(self) -> tuple[int | None, int]:
        """Return (reach, stride) along the axis; no reach where an output depends on all voxels, or on their number."""
        side = self.sides[self.axis]
        radius = self._radius()
        if radius is not None:
            for period in dict.fromkeys((1, side, *_PERIODS)):  # likely ones first
                found = self._repeated(radius, period)
                if found is not None:
                    return found
        return None, side

    def _radius(self) -> int | None:
        """Return how far a voxel in the middle is seen, None if as far as there are voxels."""
        length = 0
        while length <= 2 * LONGEST_REACH:
            length = self._accepted(2 * length or 32)
            here = length // 2
            places = self._spoilt(length, here, here + 1)
            if not places:
                return None
            first, last = places[0] // self.scale, places[-1] // self.scale
            if self.hole < first and last < length - 1 - self.hole:
                return max(here - first, last - here)
        return None

    def _repeated(self, radius: int, period: int) -> tuple[int, int] | None:
        """Return (reach, stride) if what voxels reach repeats with ``period``, and with it the output; else None."""
        length = self._accepted(radius + 3 * period)
        # Voxels at different places of a coarse cell are seen from differently far. The last one that sees a voxel or
        # any before it, and the first one that sees it or any after it, never step back while the voxel advances.
        low, high = period, length - 2 * period
        last = self._ends(period, low, lambda here: max(self._spoilt(length, 0, here + 1), default=-1))
        none = length * self.scale
        first = last and self._ends(period, high, lambda here: min(self._spoilt(length, here, length), default=none))
        if last is None or first is None:
            return None
        reach = max(
            *(end // self.scale - here for here, end in enumerate(last, low)),
            *(here - end // self.scale for here, end in enumerate(first, high)),
        )
        for stride in range(1, period + 1):
            step = stride * self.scale
            if (
                period % stride == 0
                and all(b == a + step for ends in (last, first) for a, b in zip(ends, ends[stride:], strict=False))
                and self._follows(reach, stride)
            ):
                return reach, stride
        return None

    def _ends(self, period: int, begin: int, end_of: Callable[[int], int]) -> list[int] | None:
        """Return ``end_of`` the voxels of one period, None if it does not repeat."""
        low, high = end_of(begin), end_of(begin + period)
        return _between(end_of, begin, begin + period, low, high) if high == low + period * self.scale else None

    def _follows(self, reach: int, stride: int) -> bool:
        """Tell whether the values move with the image, beyond the ends of the strip's reach."""
        length = self._accepted(2 * reach + 3 * stride)
        sides = [length + stride if axis == self.axis else side for axis, side in enumerate(self.sides)]
        noise = torch.rand(1, self.in_channels, *sides, generator=torch.Generator().manual_seed(0)) * 2 - 1
        inner, axis = (length - 2 * reach - stride) * self.scale, self.axis + 2
        here, moved = (
            self.network(noise.narrow(axis, begin, length)).narrow(axis, (reach + stride - begin) * self.scale, inner)
            for begin in (0, stride)
        )
        return float((here - moved).abs().max()) <= _SAME * float(here.std())

    def _spoilt(self, length: int, begin: int, end: int) -> list[int]:
        """Return the voxels of the output that NaN from ``begin`` to ``end`` reach, in order."""
        sides = [length if axis == self.axis else side for axis, side in enumerate(self.sides)]
        image = torch.zeros(1, self.in_channels, *sides)
        image.narrow(self.axis + 2, begin, end - begin).fill_(torch.nan)
        reached = self.network(image).isnan().movedim(self.axis + 2, 0).flatten(1).any(1)
        return reached.nonzero().flatten().tolist()

    def _accepted(self, length: int) -> int:
        """Return the next length that the network accepts."""
        side = self.sides[self.axis]
        return math.ceil(length / side) * side


def _between(function: Callable[[int], int], begin: int, end: int, low: int, high: int) -> list[int]:
    """Return what a function that never falls from ``low`` to ``high`` gives from ``begin`` to ``end``, by halving."""
    if low == high or end - begin == 1:
        return [low] * (end - begin)
    middle = (begin + end) // 2
    value = function(middle)
    return _between(function, begin, middle, low, value) + _between(function, middle, end, value, high)
