"""Writes the predictions of blocks into one volume, while the next blocks are computed."""

from __future__ import annotations

import logging
import math
import resource
import sys
import warnings
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from ignite.engine import Events
from monai.engines.workflow import Workflow

from rockmonai.data.scan import Scan
from rockmonai.errors import DataError, Stopped, UsageError
from rockmonai.handlers.bar import Bar
from rockmonai.handlers.block_values import check_limits, classes_of, core_of, greys_of, uncertainty_of
from rockmonai.handlers.on_failure import on_failure
from rockmonai.handlers.stop_signals import StopSignals
from rockmonai.inferers.tiling import Tiling
from rockmonai.transforms import GreyRange, output_limits
from rockmonai.volumes import BlockStore
from rockmonai.volumes.blocks import Box, size_of
from rockmonai.volumes.colour import paint, palette_of

logger = logging.getLogger("rockmonai")

# Blocks that may wait for the disk before the network has to.
_WAITING = 2


class BlockWriter:
    """Writes ``pred`` of every block into a store, beside it what else is told of its classes, and publishes all.

    Values in [-1, 1] become greys of the output's type, rounded; those beyond its ends are clipped and counted. For a
    store of classes the channels are logits, and a voxel becomes the number of its greatest, whatever the range. After
    SIGTERM, SIGINT or SIGUSR1 the block in progress is written and the run ends with exit code 75; the same command
    continues it. The map of classes is published last: where it is, all is.

    Args:
        store: what is written.
        scan: what is read.
        tiling: the blocks.
        grey_range: the greys of -1 and 1, or ``"dtype"`` for the full range of the type of the scan, and of the output
            if that is another integer type; None writes ``pred`` as it is.
        uncertainty: for a store of classes, what is written beside it: the entropy of their probabilities from 0 to 1,
            over the full range of an integer type; None for nothing.
        picture: for a store of classes, what is written beside it: the colour of each voxel's class; None for nothing.
        colours: red, green and blue of every class, 0 to 255, for the picture.

    Attributes:
        done: the blocks that nothing lacks.

    Raises:
        UsageError: an uncertainty or a picture is wanted of what are no classes, or of a class without a colour.
        DataError: the output's type holds none of the greys of the ``grey_range``.
    """

    def __init__(
        self,
        store: BlockStore,
        scan: Scan,
        tiling: Tiling,
        grey_range: GreyRange | None = "dtype",
        uncertainty: BlockStore | None = None,
        picture: BlockStore | None = None,
        colours: Sequence[Sequence[int]] = (),
    ) -> None:
        self.store, self.scan, self.tiling = store, scan, tiling
        self.uncertainty, self.picture = uncertainty, picture
        self.stores = [one for one in (uncertainty, picture, store) if one is not None]
        if len(self.stores) > 1 and not store.classes:
            raise UsageError("An uncertainty_file or a colour_file goes with classes; this model predicts greys.")
        self.palette = palette_of(colours, 0 if picture is None else tiling.footprint.channels)
        self.done = frozenset.intersection(*(one.done for one in self.stores))
        self.limits = (
            None if grey_range is None or store.classes else output_limits(grey_range, scan.dtype, store.dtype)
        )
        try:
            check_limits(self.limits, store.dtype)
        except DataError:
            store.discard()  # no block was written, and the run that is to come has another type or range
            raise
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
        # A device has better things to hold than greys in double precision, or cannot.
        pred = core_of(engine.state.output["pred"], block, self.tiling).cpu()
        values, clipped = self._greys(pred)
        beside = None if self.uncertainty is None else uncertainty_of(pred, self.uncertainty.dtype)
        self._pending.append(self._pool.submit(self._write, block.index, where, values, clipped, beside))
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
        """Complete what was written under its final names, once every rank has written its blocks.

        Raises:
            DataError: the scan was changed during the run.
            OutputError: the disk is full, or another program has made an output in the meantime.
        """
        if dist.is_initialized():
            dist.barrier()
        if dist.is_initialized() and dist.get_rank() > 0:
            return
        try:
            try:
                self.scan.check_unchanged()
            except DataError:
                for store in self.stores:
                    store.discard()  # nobody knows which blocks are of which scan
                raise
            clipped = self.store.clipped
            for store in self.stores:
                store.complete()
            for store in self.stores:  # a moment, in which a kill would leave one with its name and one without
                store.publish()
        finally:
            self._close()
        written = " and ".join(str(store.path) for store in reversed(self.stores))
        logger.info(f"wrote {written}{f', {clipped:.2%} of its voxels clipped' if clipped else ''}")

    def _start(self, engine: Workflow) -> None:
        self.signals.listen()
        if engine.state.rank == 0:
            dataset: Any = engine.data_loader.dataset  # type: ignore[union-attr]
            sizes = (size_of(block.output(self.tiling.scale)) for block in dataset.blocks)
            total = sum(map(math.prod, sizes)) * self.store.shape[0]
            self._bar = Bar(total=total, unit="voxel", unit_scale=True, dynamic_ncols=True, desc="predict")

    def _greys(self, pred: torch.Tensor) -> tuple[np.ndarray, int]:
        """Return a prediction (C, *spatial) as the output holds it, and how many of its values are clipped."""
        if self.store.classes:
            return classes_of(pred, self.store.dtype), 0
        return greys_of(pred, self.limits, self.store.dtype)

    def _write(self, index: int, where: Box, values: np.ndarray, clipped: int, beside: np.ndarray | None) -> None:
        if self.uncertainty is not None and beside is not None:
            self.uncertainty.write(index, where, beside)
        if self.picture is not None:
            self.picture.write(index, where, paint(values, self.palette))
        self.store.write(index, where, values, clipped)

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
        self._close()

    def _close(self) -> None:
        for store in self.stores:
            store.close()

    def _end(self) -> None:
        """Let the blocks on their way to the disk arrive, whatever ended the run."""
        wait(self._pending)
        self._pool.shutdown()
        self.signals.restore()
        if self._bar is not None:
            self._bar.close()
            self._bar = None
