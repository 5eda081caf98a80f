"""A halo smaller than a network's reach whose error cannot be seen in the grey levels of the output."""

from __future__ import annotations

import logging

import torch
from torch import nn

from rockmonai.data.scan import Scan
from rockmonai.engines.precision import full_products
from rockmonai.errors import UsageError
from rockmonai.inferers.executors import padding
from rockmonai.inferers.footprint import Footprint
from rockmonai.inferers.pieces import Piece
from rockmonai.volumes.blocks import Box, scaled

logger = logging.getLogger("rockmonai")

_PROBES = 3
_SIDE = {2: 64, 3: 16}


def calibrated_halo(scan: Scan, network: nn.Module, seen: Footprint, half_level: float) -> tuple[int, ...]:
    """Return the smallest halo with which the voxels of a few cores differ by less than ``half_level``.

    The weights that reach farthest are the smallest: a deep network's receptive field is wide on paper, and its rim
    may weigh less than the rounding of the output. The cores lie at a quarter, half and three quarters of the scan.

    Args:
        scan: what the network is applied to.
        network: as it is applied, on its device.
        seen: its footprint, finite.
        half_level: half a grey level of the output, in units of the network.

    Raises:
        UsageError: if the output has no grey levels.
    """
    if not half_level > 0:
        raise UsageError(
            "A calibrated halo is measured in grey levels of the output, and floats have none: use 'reach'."
        )
    reach = tuple(r or 0 for r in seen.reach)
    frame, dims = seen.frame(scan.shape), len(scan.shape)
    # A core at a face would not miss what lies beyond it.
    sides = [max(1, min(_SIDE[dims], n // (_PROBES + 1))) for n in scan.shape]
    corners = [
        [n * share // (_PROBES + 1) - side // 2 for n, side in zip(scan.shape, sides, strict=True)]
        for share in range(1, _PROBES + 1)
    ]
    cores = [tuple(slice(a, a + side) for a, side in zip(corner, sides, strict=True)) for corner in corners]

    def predict(core: Box, halo: tuple[int, ...]) -> torch.Tensor:
        read = seen.read(core, frame, halo)
        image = scan.read(read)[None].to(next(network.parameters()).device)
        with torch.inference_mode(), full_products():
            piece = padding(network)(Piece(image, tuple(part.start for part in read), frame))
        fine = scaled(core, seen.scale)
        return piece.between([part.start for part in fine], [part.stop for part in fine]).values

    exact = [predict(core, reach) for core in cores]

    def error(share: int) -> float:
        halo = tuple(min(share, r) for r in reach)
        return max(float((predict(core, halo) - one).abs().max()) for core, one in zip(cores, exact, strict=True))

    low, high = -1, max(reach)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if error(middle) < half_level else (middle, high)
    logger.info(
        "halo %d instead of the reach %d: on %d pieces no voxel differs by more than %.2g grey levels.",
        high,
        max(reach),
        len(cores),
        error(high) / (2 * half_level),
    )
    return tuple(min(high, r) for r in reach)
