"""What a voxel of a network's output depends on: reach, stride and scale, measured rather than typed in."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from rockmonai.errors import ModelError

# Who reads farther than this looks at everything; Real-ESRGAN, the farthest-reading network in use, reads 349 voxels.
LONGEST_REACH = 512
_SIDES = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_STRIDES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


@dataclass(frozen=True)
class Footprint:
    """What a network reads for one voxel of its output, per axis (z,) y, x.

    Attributes:
        reach: radius of the receptive field in voxels of the input; None where the network looks at everything, as
            one that normalises by the statistics of its input does.
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

    def as_dict(self) -> dict[str, Any]:
        """Return the values as JSON has them."""
        return json.loads(json.dumps(asdict(self)))


def footprint(network: nn.Module, spatial_dims: int, in_channels: int = 1) -> Footprint:
    """Measure what ``network`` reads, by spoiling voxels of its input with NaN and finding them in its output.

    No weight can hide a NaN (0 times NaN is NaN), so that the answer is that of the architecture: exact, and the same
    after every training. Each axis is probed with a thin strip along it, on the CPU in float32.

    Args:
        network: maps (B, in_channels, [Z,] Y, X) to (B, C, [sZ,] sY, sX); it is not changed.
        spatial_dims: 2 or 3.
        in_channels: channels of its input.

    Raises:
        ModelError: if its output is not an integer number of times as large as its input.
    """
    probed = copy.deepcopy(network).cpu().float().eval()
    with torch.inference_mode():
        side, scale, channels = _smallest(probed, spatial_dims, in_channels)
        strips = [_Strip(probed, in_channels, (side,) * spatial_dims, axis, scale[axis]) for axis in range(spatial_dims)]
        measured = [strip.measure() for strip in strips]
    reach, stride = zip(*measured, strict=True)
    return Footprint(reach, stride, scale, (side,) * spatial_dims, channels)


def _smallest(network: nn.Module, spatial_dims: int, in_channels: int) -> tuple[int, tuple[int, ...], int]:
    """Return the side of the smallest cube that goes through the network, its scale per axis, its output channels."""
    reason = "its output is not a whole number of times as large as its input"
    for side in _SIDES:
        try:
            (_, channels, *once), (_, _, *twice) = (
                network(torch.zeros(1, in_channels, *[n] * spatial_dims)).shape for n in (side, 2 * side)
            )
        except (RuntimeError, ValueError) as error:  # too small for a reflection, a pooling or a skip connection
            reason = str(error).splitlines()[0].rstrip(".")
            continue
        scale = tuple(length // side for length in once)
        if all(s and a == s * side and b == 2 * a for s, a, b in zip(scale, once, twice, strict=True)):
            return side, scale, channels
    raise ModelError(
        f"{type(network).__name__} cannot be applied block by block ({reason}): use a network for {spatial_dims}D images "
        f"with {in_channels} channels whose output is as large as its input or an integer number of times larger."
    )


@dataclass
class _Strip:
    """A thin image along one axis, in which single voxels are spoiled."""

    network: nn.Module
    in_channels: int
    sides: tuple[int, ...]
    axis: int
    scale: int

    def measure(self) -> tuple[int | None, int]:
        """Return (reach, stride) along the axis."""
        length = self.sides[self.axis]
        while True:
            length *= 2
            if length < 32:
                continue
            first, last = self.spoilt(length, length // 2)
            if 0 < first and last < length * self.scale - 1:
                break
            if length > 2 * LONGEST_REACH:
                return None, self.sides[self.axis]
        here = length // 2
        radius = max(here - first // self.scale, last // self.scale - here)
        for stride in _STRIDES:
            while length < 2 * (radius + 2 * stride + 1):
                length *= 2
            here = length // 2 // stride * stride
            first, last = self.spoilt(length, here)
            moved = self.spoilt(length, here + stride)
            if moved == (first + stride * self.scale, last + stride * self.scale):
                break
        # Voxels at different places of a coarse cell are seen from differently far.
        ends = [(first, last), *(self.spoilt(length, here + place) for place in range(1, stride))]
        return max(
            max(here + place - first // self.scale, last // self.scale - here - place)
            for place, (first, last) in enumerate(ends)
        ), stride

    def spoilt(self, length: int, position: int) -> tuple[int, int]:
        """Return the first and the last voxel of the output, along the axis, that a NaN at ``position`` reaches."""
        sides = [length if axis == self.axis else side for axis, side in enumerate(self.sides)]
        image = torch.zeros(1, self.in_channels, *sides)
        image.narrow(self.axis + 2, position, 1).fill_(torch.nan)
        reached = self.network(image).isnan().movedim(self.axis + 2, 0).flatten(1).any(1).nonzero()
        return int(reached[0]), int(reached[-1])
