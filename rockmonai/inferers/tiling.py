"""How a scan is cut into blocks for a network: their size, how far each reads around itself, what that costs."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import psutil
import torch
import torch.distributed as dist
from torch import nn

from rockmonai.data.scan import Scan
from rockmonai.engines.precision import amp_dtype
from rockmonai.errors import DataError, ModelError, UsageError
from rockmonai.inferers.calibration import calibrated_halo
from rockmonai.inferers.executors import Executor, padding, shrinking
from rockmonai.inferers.footprint import Footprint, footprint
from rockmonai.inferers.memory import peak_bytes
from rockmonai.inferers.pieces import Piece, UnknownLayer
from rockmonai.transforms import GreyRange, output_limits
from rockmonai.volumes import begun_with
from rockmonai.volumes.blocks import Block, Box, cut, in_words, size_of

logger = logging.getLogger("rockmonai")

# Sides that are tried are these times the smallest; powers of two and thirds of them make good chunks of a file.
_TIMES = (1, 2, 3, 4, 6, 8, 12, 16)
_SMALLEST = {2: 64, 3: 16}
# Slices of a volume that a 2D network takes at once.
_SLICES = 16
# On a CPU, blocks whose layers leave its caches are slower, not faster.
_CPU_BYTES = 1 << 30
_FREE_SHARE = 0.5


@dataclass(frozen=True)
class Tiling:
    """The blocks of a scan, and all that decides what each of them reads.

    Attributes:
        shape: of the scan along (z,) y, x.
        channels: of the scan.
        footprint: of the network.
        halo: voxels that a block reads on each side of its core.
        size: of a core; those at the far faces are smaller.
        bytes_at_once: that the layers take for one block, about; None where it cannot be predicted.
    """

    shape: tuple[int, ...]
    channels: int
    footprint: Footprint
    halo: tuple[int, ...]
    size: tuple[int, ...]
    bytes_at_once: int | None = None

    @cached_property
    def blocks(self) -> list[Block]:
        """All blocks, along x first."""
        return cut(self.shape, self.size, self.read)

    @property
    def scale(self) -> tuple[int, ...]:
        """Voxels of the output per voxel of the scan, per axis."""
        return self.footprint.scale

    @property
    def frame(self) -> tuple[int, ...]:
        """Shape of the scan, mirrored at its far faces up to a multiple of the network's stride."""
        return self.footprint.frame(self.shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the result along (z,) y, x."""
        return tuple(n * s for n, s in zip(self.shape, self.scale, strict=True))

    @property
    def exact(self) -> bool:
        """Whether blocks see all that their voxels depend on, so that cutting changes nothing."""
        return self.footprint.finite and all(
            h >= (r or 0) for h, r in zip(self.halo, self.footprint.reach, strict=True)
        )

    def read(self, core: Box) -> Box:
        """Return what must be read to compute ``core``."""
        return self.footprint.read(core, self.frame, self.halo)


def tile(
    scan: Scan,
    network: nn.Module,
    block_size: int | Sequence[int] | None = None,
    halo: int | str = "reach",
    amp: bool | str = False,
    grey_range: GreyRange = "dtype",
    dtype: str | None = None,
    output_file: str | None = None,
) -> Tiling:
    """Return how to cut ``scan`` for ``network``.

    Args:
        scan: what the network is applied to.
        network: as it is applied, on its device.
        block_size: voxels of a core, one number or one per axis; None for the largest block that fits: on a GPU into
            half of its free memory, on a CPU nearly into its caches.
        halo: ``"reach"`` for exact results; ``"calibrated"`` for the smallest halo that leaves every voxel of a few
            pieces within half a grey level; or a number of voxels, which is then neither checked nor exact.
        amp: precision, see :func:`rockmonai.engines.amp_dtype`.
        grey_range: the greys of -1 and 1; for a calibrated halo.
        dtype: of the output, None for that of the scan; for a calibrated halo.
        output_file: where an unfinished run may be that shall be continued: without a ``block_size``, with its blocks.

    Raises:
        UsageError: for an impossible block size or halo.
        DataError: if the scan is smaller than the network accepts.
        ModelError: if the network looks at everything and no halo is given.
    """
    seen = footprint(network, scan.spatial_dims, scan.channels)
    if any(n < least for n, least in zip(seen.frame(scan.shape), seen.smallest, strict=True)):
        raise DataError(
            f"{scan.path} has {in_words(scan.shape)} voxels and the model needs at least "
            f"{in_words(seen.smallest)}: give it more slices, or a model of fewer dimensions."
        )
    calibrated = halo == "calibrated"
    half_level = _half_level(grey_range, scan.dtype, np.dtype(dtype or scan.dtype)) if calibrated else 0.0
    widths = _halo(halo, scan, network, seen, half_level)
    whole = Tiling(scan.shape, scan.channels, seen, widths, scan.shape)
    if block_size is None and output_file is not None:
        begun = [_begun(output_file, len(scan.shape))]
        if dist.is_initialized():  # what one rank sees, another may have cleared away
            dist.broadcast_object_list(begun)
        (block_size,) = begun
    if block_size is None:
        return _fitting(whole, network, amp)
    given = [block_size] * len(scan.shape) if isinstance(block_size, int) else list(block_size)
    if len(given) != len(scan.shape) or min(given) < 1:
        raise UsageError(f"block_size is {block_size}; give one positive number, or one for each of {scan.shape}.")
    rounded = tuple(math.ceil(n / s) * s for n, s in zip(given, seen.stride, strict=True))
    if rounded != tuple(given):
        logger.info("block_size %s -> %s, a multiple of the network's stride %s", given, rounded, seen.stride)
    size = _even(whole, rounded)
    return replace(whole, size=size, bytes_at_once=_cost(whole, network)(size))


def _halo(halo: int | str, scan: Scan, network: nn.Module, seen: Footprint, half_level: float) -> tuple[int, ...]:
    reach = tuple(r or 0 for r in seen.reach)
    if isinstance(halo, int) and halo >= 0:
        if not seen.finite or halo < max(reach):
            sees = f"sees {max(reach)} voxels around" if seen.finite else "looks at everything"
            logger.warning("halo %d is not exact: the network %s; blocks will differ where they meet.", halo, sees)
        return (halo,) * len(reach)
    if not seen.finite:
        raise ModelError(
            f"{type(network).__name__} looks at its whole input, so that no block gives what the whole scan would: "
            "pass --halo 32, say, and blend windows with the overlay sliding_window.json, or take a network without "
            "attention, global pooling or aligned corners."
        )
    if halo == "reach":
        return reach
    if halo == "calibrated":
        return calibrated_halo(scan, network, seen, half_level)
    raise UsageError(f"halo is {halo!r}; use 'reach', 'calibrated' or a number of voxels.")


def _begun(output_file: str, dims: int) -> list[int] | None:
    """Return the block size of an unfinished run; memory may have been freed or taken since."""
    size = ((begun_with(output_file) or {}).get("blocks") or {}).get("size")
    return size if size is not None and len(size) == dims else None


def _half_level(grey_range: GreyRange, scanned: np.dtype, written: np.dtype) -> float:
    """Return half a grey level of the output in units of a network that works in [-1, 1], 0 if there are no levels."""
    if written.kind not in "ui":
        return 0.0
    low, high = output_limits(grey_range, scanned, written)
    return 1 / (high - low)


def _fitting(whole: Tiling, network: nn.Module, amp: bool | str) -> Tiling:
    """Return the largest tiling of cubes whose layers fit into memory."""
    device = next(network.parameters(), torch.empty(0)).device
    if device.type == "cuda":
        budget = int(_FREE_SHARE * torch.cuda.mem_get_info(device)[0])
    else:
        budget = min(_CPU_BYTES, int(_FREE_SHARE * psutil.virtual_memory().available))
    if dist.is_initialized():  # all ranks must cut alike
        least = torch.tensor(budget, device=device)
        dist.all_reduce(least, dist.ReduceOp.MIN)
        budget = int(least)
    # Half the bytes a number take half the memory, about.
    budget *= 2 if amp_dtype(amp, device) else 1
    cost = _cost(whole, network)
    dims = len(whole.shape)
    best: Tiling | None = None
    for times in _TIMES:
        sides = [
            _SLICES if r == 0 and dims == 3 else times * math.lcm(_SMALLEST[dims], s)
            for r, s in zip(whole.footprint.reach, whole.footprint.stride, strict=True)
        ]
        size = _even(whole, sides)
        if best is not None and size == best.size:
            continue
        tiling = replace(whole, size=size, bytes_at_once=cost(size))
        if best is not None and (tiling.bytes_at_once is None or tiling.bytes_at_once > budget):
            break
        best = tiling
    assert best is not None
    return best


def _even(whole: Tiling, sides: Sequence[int]) -> tuple[int, ...]:
    """Return the size of cores of at most ``sides`` that are about equally large everywhere in the scan."""
    size = []
    for n, side, s in zip(whole.shape, sides, whole.footprint.stride, strict=True):
        even, grid = math.ceil(n / math.ceil(n / side)), math.lcm(s, 8)
        size.append(min(side, math.ceil(even / grid) * grid))
    return tuple(size)


def _cost(whole: Tiling, network: nn.Module) -> Callable[[Sequence[int]], int | None]:
    """Return what tells the memory that a core of some size takes, or None for a network that cannot be asked."""
    executor: Executor
    try:
        imagined = copy.deepcopy(network).to("meta")
        for layer in imagined.modules():
            if isinstance(layer, nn.Upsample):
                # Takes as much memory, and does not take a second to imagine.
                layer.mode, layer.align_corners = "nearest", None
        executor = shrinking(imagined) if whole.exact else padding(imagined)
    except UnknownLayer:
        executor = padding(imagined)

    def cost(size: Sequence[int]) -> int | None:
        # In the middle of the scan, where the halo is widest.
        starts = [
            (n - side) // 2 // s * s for n, side, s in zip(whole.frame, size, whole.footprint.stride, strict=True)
        ]
        read = whole.read(tuple(slice(max(0, a), max(0, a) + side) for a, side in zip(starts, size, strict=True)))
        image = torch.empty(1, whole.channels, *size_of(read), device="meta")
        piece = Piece(image, tuple(part.start for part in read), whole.frame)
        try:
            with torch.inference_mode():
                return peak_bytes(executor, piece)
        except (RuntimeError, UnknownLayer):  # a layer without shapes alone, or without a rule
            return None

    return cost
