"""The record of a run: metrics.csv with a row an epoch, and TensorBoard events with a point an iteration."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Events
from monai.engines.workflow import Workflow

from rockmonai.volumes import atomic_write


class History:
    """Writes, after every epoch, the mean of each named loss, the learning rate and the validation's metrics.

    A loss counts with its weight, as it does in the training. What other handlers leave in ``engine.state.figures``
    after an iteration is taken from there, and its mean is written, too.

    The rows live in ``engine.state.history`` and travel with the checkpoints: after a resume, metrics.csv is the one
    that an uninterrupted run would have written.

    Args:
        output_dir: folder of ``metrics.csv`` and of the event files.
        validator: the evaluator whose metrics belong to the row of the epoch that it validated.
        tensorboard: also write TensorBoard events.
    """

    def __init__(self, output_dir: str, validator: Workflow | None = None, tensorboard: bool = True) -> None:
        self.output_dir = Path(output_dir)
        self.validator = validator
        self.tensorboard = tensorboard
        self.writer: Any = None
        self.rate = 0.0

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, a trainer whose ``state.losses`` maps names to numbers."""
        if engine.state.rank > 0:
            return
        engine.state.history, engine.state.loss_sums = [], {}
        engine.state_dict_user_keys.extend(["history", "loss_sums"])
        engine.add_event_handler(Events.EPOCH_STARTED, self._open)
        engine.add_event_handler(Events.ITERATION_STARTED, self._note_rate)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add_iteration)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._add_epoch)
        engine.add_event_handler(Events.COMPLETED, self._close)

    def _open(self, engine: Workflow) -> None:
        if self.tensorboard and self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.output_dir), purge_step=engine.state.iteration + 1)

    def _note_rate(self, engine: Any) -> None:
        # By the end of the epoch a schedule has set the rate of the next one.
        self.rate = engine.optimizer.param_groups[0]["lr"]

    def _add_iteration(self, engine: Workflow) -> None:
        figures, engine.state.figures = getattr(engine.state, "figures", {}), {}
        columns = {f"{name}_loss": value for name, value in engine.state.losses.items()} | figures
        for name, value in columns.items():
            total, count = engine.state.loss_sums.get(name, (0.0, 0))
            engine.state.loss_sums[name] = (total + value, count + 1)
        self._write_events("loss", engine.state.losses, engine.state.iteration)
        self._write_events("training", figures, engine.state.iteration)

    def _add_epoch(self, engine: Workflow) -> None:
        state = engine.state
        metrics = {}
        if self.validator is not None and self.validator.state.epoch == state.epoch:
            metrics = {name: float(value) for name, value in self.validator.state.metrics.items()}
        self._write_events("validation", metrics, state.iteration)
        state.history.append(
            {"epoch": state.epoch, "iteration": state.iteration, "lr": self.rate}
            | {name: total / count for name, (total, count) in state.loss_sums.items()}
            | metrics
        )
        state.loss_sums = {}
        if self.writer is not None:
            self.writer.flush()
        with atomic_write(self.output_dir / "metrics.csv") as path:
            path.write_text(as_csv(state.history))

    def _write_events(self, group: str, values: Mapping[str, float], step: int) -> None:
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(f"{group}/{name}", value, step)

    def _close(self, engine: Workflow) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def as_csv(rows: list[dict]) -> str:
    """Return ``rows`` as CSV text; a column that only some rows have is empty in the others."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
