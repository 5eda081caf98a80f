"""Applies a network to one block of a scan: exactly, in any precision, in halves where memory does not suffice."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from torch import nn

from rockmonai.engines.precision import amp_dtype, full_products
from rockmonai.errors import DataError
from rockmonai.inferers.executors import Executor, fastest, padding
from rockmonai.inferers.memory import keep_freed_memory
from rockmonai.inferers.pieces import Piece
from rockmonai.inferers.tiling import Tiling
from rockmonai.metrics import psnr
from rockmonai.volumes.blocks import Box, in_words, scaled, size_of

logger = logging.getLogger("rockmonai")


class BlockInferer(Inferer):
    """Returns the network's output over the core of a block.

    With the halo of an exact `Tiling` it equals what the network would return for the whole scan, to the rounding of
    the arithmetic (Possolo and Bajcsy, https://doi.org/10.6028/jres.126.009). Layers whose rules are known compute no
    more of the halo than the next ones need; any other network computes all of it and is cropped.

    A block that does not fit into memory is computed in halves, and so are all after it. In float32 a GPU's shortcut
    of 10 bit products (TF32) is not taken.

    Args:
        tiling: the blocks.
        amp: False, True, ``"bf16"`` or ``"fp16"`` (see :func:`rockmonai.engines.amp_dtype`); how far the first block
            is then from float32 is printed.
    """

    def __init__(self, tiling: Tiling, amp: bool | str = False) -> None:
        super().__init__()
        self.tiling, self.amp = tiling, amp
        self.most = math.inf
        self._network: nn.Module | None = None
        keep_freed_memory()

    def __call__(  # type: ignore[override]
        self, inputs: MetaTensor, network: nn.Module, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Return the prediction of a core, (1, C, *size of the core times scale), float32.

        Args:
            inputs: a block (1, C, *spatial) as `BlockDataset` reads it, with its number in ``meta["block"]``.
            network: in evaluation mode, on the device of ``inputs``.
            *args: ignored.
            **kwargs: ignored.
        """
        block = self.tiling.blocks[int(inputs.meta["block"])]
        piece = Piece(inputs.as_tensor(), tuple(part.start for part in block.read), self.tiling.frame)
        with full_products():
            if self._network is not network:
                self._prepare(network, piece, block.core)
            return self._predict(self._executor, piece, block.core)

    def _prepare(self, network: nn.Module, piece: Piece, core: Box) -> None:
        """Choose how to execute the network, and print what a lower precision does to the first core."""
        self._network, device = network, piece.values.device
        build: Callable[..., Executor] = padding
        if self.tiling.exact:
            side = [2 * n for n in self.tiling.footprint.smallest]
            example = torch.rand(1, self.tiling.channels, *side, device=device) * 2 - 1
            build = lambda network, dtype: fastest(network, example, dtype)  # noqa: E731
        dtype = amp_dtype(self.amp, device)
        self._executor = build(network, dtype)
        if dtype is not None:
            corner = tuple(
                slice(part.start, min(part.stop, part.start + math.lcm(32, s)))
                for part, s in zip(core, self.tiling.footprint.stride, strict=True)
            )
            low, full = (self._predict(e, piece, corner) for e in (self._executor, build(network, None)))
            distance = float(psnr(low, full, data_range=2.0))
            logger.info("%s: %.1f dB from float32 on the first block", str(dtype).removeprefix("torch."), distance)

    def _predict(self, executor: Executor, piece: Piece, core: Box) -> torch.Tensor:
        """Return the output over ``core``, in halves if need be."""
        if math.prod(size_of(core)) <= self.most:
            output = self._attempt(executor, piece, core)
            if output is not None:
                return output
        axis, halves = self._halves(core)
        return torch.cat([self._predict(executor, piece, half).cpu() for half in halves], axis + 2)

    def _attempt(self, executor: Executor, piece: Piece, core: Box) -> torch.Tensor | None:
        """Return the output over ``core``, or None if memory does not suffice."""
        read, fine = self.tiling.read(core), scaled(core, self.tiling.scale)
        try:
            output = executor(piece.between([part.start for part in read], [part.stop for part in read]))
            return output.between([part.start for part in fine], [part.stop for part in fine]).values.float()
        except RuntimeError as error:
            # On a CPU the allocator says so in words.
            if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
                raise
        self.most = math.prod(size_of(core)) - 1
        logger.warning("out of memory: blocks of %s voxels are computed in halves", in_words(size_of(core)))
        if piece.values.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _halves(self, core: Box) -> tuple[int, list[Box]]:
        """Return the axis along which ``core`` is longest on the grid of the stride, and its two halves."""
        strides = self.tiling.footprint.stride
        cells = [math.ceil(n / s) for n, s in zip(size_of(core), strides, strict=True)]
        axis = cells.index(max(cells))
        part, middle = core[axis], core[axis].start + cells[axis] // 2 * strides[axis]
        if cells[axis] == 1:
            raise DataError(
                "Not even a few voxels and their halo fit into memory: use a smaller network, amp, or a larger device."
            )
        return axis, [
            (*core[:axis], half, *core[axis + 1 :]) for half in (slice(part.start, middle), slice(middle, part.stop))
        ]
