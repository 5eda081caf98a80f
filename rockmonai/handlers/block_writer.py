"""Writes the predictions of blocks into one volume, while the next blocks are computed."""

from __future__ import annotations

import logging
import math
import resource
import sys
import warnings
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from ignite.engine import Events
from monai.engines.workflow import Workflow

from rockmonai.data.scan import Scan
from rockmonai.errors import DataError, ModelError, NumericalError, Stopped
from rockmonai.handlers.bar import Bar
from rockmonai.handlers.on_failure import on_failure
from rockmonai.handlers.stop_signals import StopSignals
from rockmonai.inferers.tiling import Tiling
from rockmonai.transforms import GreyRange, output_limits, unscale_grey
from rockmonai.volumes import BlockStore
from rockmonai.volumes.blocks import Block, in_words, scaled, size_of, within

logger = logging.getLogger("rockmonai")

# Blocks that may wait for the disk before the network has to.
_WAITING = 2
# Voxels that are made greys at one time.
_SLAB = 1 << 16


class BlockWriter:
    """Writes ``pred`` of every block into a store, and at the end publishes it.

    Values in [-1, 1] become greys of the output's type, rounded; those beyond its ends are clipped and counted. For a
    store of classes the channels are logits, and a voxel becomes the number of its greatest, whatever the range. After
    SIGTERM, SIGINT or SIGUSR1 the block in progress is written and the run ends with exit code 75; the same command
    continues it.

    Args:
        store: what is written.
        scan: what is read.
        tiling: the blocks.
        grey_range: the greys of -1 and 1, or ``"dtype"`` for the full range of the type of the scan, and of the output
            if that is another integer type; None writes ``pred`` as it is.
    """

    def __init__(self, store: BlockStore, scan: Scan, tiling: Tiling, grey_range: GreyRange | None = "dtype") -> None:
        self.store, self.scan, self.tiling = store, scan, tiling
        self.limits = (
            None if grey_range is None or store.classes else output_limits(grey_range, scan.dtype, store.dtype)
        )
        self._ends = _ends(self.limits, store.dtype)
        self.signals = StopSignals()
        self._pool = ThreadPoolExecutor(1)
        self._pending: deque[Future] = deque()
        self._bar: Bar | None = None

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, an evaluator over the blocks of the tiling."""
        # MONAI warns of an empty loader; a rank may have no block, and a run may have nothing left but to publish.
        warnings.filterwarnings("ignore", ".*`dataloader` is empty", UserWarning)
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self._finish)
        on_failure(engine, self._fail)

    def __call__(self, engine: Workflow) -> None:
        """Hand the block just predicted to the disk.

        Raises:
            NumericalError: the prediction holds NaN or infinite values.
            Stopped: the run was asked to stop.
            OutputError: an earlier block could not be written.
        """
        block = self.tiling.blocks[engine.state.batch["block"]]
        where = block.output(self.tiling.scale)
        values, clipped = self._greys(_core(engine.state.output["pred"], block, self.tiling))
        self._pending.append(self._pool.submit(self.store.write, block.index, where, values, clipped))
        while len(self._pending) > _WAITING:
            self._pending.popleft().result()
        if self._bar is not None:
            self._bar.update(values.size)
        if self.signals.received is not None:
            self._drain()
            raise Stopped(
                f"Stopped by {self.signals.received.name} after block {engine.state.iteration} of "
                f"{engine.state.epoch_length}; run the same command again to continue."
            )

    def publish(self) -> None:
        """Complete the volume under its final name, once every rank has written its blocks.

        Raises:
            DataError: the scan was changed during the run.
            OutputError: the disk is full, or another program has made the output in the meantime.
        """
        if dist.is_initialized():
            dist.barrier()
        if dist.is_initialized() and dist.get_rank() > 0:
            return
        try:
            try:
                self.scan.check_unchanged()
            except DataError:
                self.store.discard()  # nobody knows which blocks are of which scan
                raise
            clipped = self.store.clipped
            self.store.publish()
        finally:
            self.store.close()
        logger.info(f"wrote {self.store.path}{f', {clipped:.2%} of its voxels clipped' if clipped else ''}")

    def _start(self, engine: Workflow) -> None:
        self.signals.listen()
        if engine.state.rank == 0:
            dataset: Any = engine.data_loader.dataset  # type: ignore[union-attr]
            sizes = (size_of(block.output(self.tiling.scale)) for block in dataset.blocks)
            total = sum(map(math.prod, sizes)) * self.store.shape[0]
            self._bar = Bar(total=total, unit="voxel", unit_scale=True, dynamic_ncols=True, desc="predict")

    def _greys(self, pred: torch.Tensor) -> tuple[np.ndarray, int]:
        """Return a prediction (1, C, *spatial) as the output holds it, (C, *spatial), and how many are clipped."""
        pred = pred[0].cpu()  # a device has better things to hold than greys in double precision, or cannot
        greys, clipped = np.empty((self.store.shape[0], *pred.shape[1:]), self.store.dtype), 0
        # A slab at a time, which stays in the cache: the block as doubles would take more memory than the network.
        step = max(1, _SLAB // math.prod(pred.shape[2:]))
        for start in range(0, pred.shape[1], step):
            slab = (slice(None), slice(start, start + step))
            if not torch.isfinite(pred[slab]).all():
                raise NumericalError(
                    "The network predicts NaN or infinite values: check its weights, or run without amp."
                )
            if self.store.classes:
                greys[slab] = pred[slab].argmax(0, keepdim=True).numpy()
                continue
            if self.limits is None:
                greys[slab] = pred[slab].numpy()
                continue
            greys[slab] = unscale_grey(pred[slab], *self.limits, self.store.dtype).numpy()
            clipped += int(((pred[slab] < self._ends[0]) | (pred[slab] > self._ends[1])).sum())
        return greys, clipped

    def _drain(self) -> None:
        while self._pending:
            self._pending.popleft().result()

    def _finish(self, engine: Workflow) -> None:
        self._drain()
        self._end()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (30 if sys.platform == "darwin" else 20)
        count = engine.state.epoch_length
        logger.info(f"{count} block{'s' * (count != 1)} predicted; {memory:.1f} GiB of memory at most")

    def _fail(self) -> None:
        """Leave what is written to whoever runs the same again, be it this process."""
        self._end()
        self.store.close()

    def _end(self) -> None:
        """Let the blocks on their way to the disk arrive, whatever ended the run."""
        wait(self._pending)
        self._pool.shutdown()
        self.signals.restore()
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _ends(limits: tuple[float, float] | None, dtype: np.dtype) -> tuple[float, float]:
    """Return the predictions beyond which values are clipped, which floats never are."""
    if limits is None or dtype.kind not in "ui":
        return -math.inf, math.inf
    (low, high), info = limits, np.iinfo(dtype)
    black, white = ((end - low) / (high - low) * 2 - 1 for end in (info.min - 0.5, info.max + 0.5))
    return black, white


def _core(pred: torch.Tensor, block: Block, tiling: Tiling) -> torch.Tensor:
    """Return the core of a prediction that covers it, or all that the block read."""
    core, read = (scaled(box, tiling.scale) for box in (block.core, block.read))
    if tuple(pred.shape[2:]) == size_of(core):
        return pred
    if tuple(pred.shape[2:]) != size_of(read):
        raise ModelError(
            f"The prediction of block {block.index} has {in_words(pred.shape[2:])} voxels where "
            f"{in_words(size_of(core))} are wanted: use an inferer that returns the core of a block, or all of what it "
            "is given."
        )
    return pred[(slice(None), slice(None), *within(core, read))]
