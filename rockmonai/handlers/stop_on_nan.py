"""Ends a training whose losses have left the finite numbers, before it can harm a checkpoint."""

from __future__ import annotations

import math
from pathlib import Path

from ignite.engine import Events
from monai.engines.workflow import Workflow

from rockmonai.errors import NumericalError


class StopOnNaN:
    """Raises when the losses hold NaN or infinity, naming the last good checkpoint.

    In fp16 the gradient scaler skips a step that overflows and lowers its scale: there a few iterations in a row are
    let pass.

    Args:
        ckpt_dir: where the run keeps its checkpoints.
        patience: iterations in a row that may overflow in fp16; in other precisions there is none.
    """

    def __init__(self, ckpt_dir: str, patience: int = 5) -> None:
        self.folder = Path(ckpt_dir)
        self.patience = patience
        self.overflows = 0

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, a trainer whose ``state.losses`` maps names to numbers."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Check the losses of the iteration just completed.

        Raises:
            NumericalError: if one of them is not finite.
        """
        bad = {name: value for name, value in engine.state.losses.items() if not math.isfinite(value)}
        self.overflows = self.overflows + 1 if bad else 0
        scaler = getattr(engine, "grad_scaler", None)
        if self.overflows > (self.patience if scaler is not None and scaler.is_enabled() else 0):
            name, value = next(iter(bad.items()))
            good = sorted(self.folder.glob("checkpoint_*.pt"))
            last = f"the last good checkpoint is {good[-1]}" if good else "no checkpoint was written yet"
            raise NumericalError(
                f"The {name} loss is {value} at epoch {engine.state.epoch}, iteration {engine.state.iteration}; "
                f"{last}. Lower lr, set max_grad_norm, or train without amp."
            )
