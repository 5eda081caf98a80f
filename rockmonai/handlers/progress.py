"""What a person sees while a network trains: a bar with the named losses."""

from __future__ import annotations

from ignite.engine import Events
from monai.engines.workflow import Workflow

from rockmonai.handlers.bar import Bar
from rockmonai.handlers.on_failure import on_failure


class Progress:
    """Shows a bar for every epoch with the current value of each named loss (on the first rank only)."""

    def __init__(self) -> None:
        self.bar: Bar | None = None

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, a trainer whose ``state.losses`` maps names to numbers."""
        if engine.state.rank > 0:
            return
        engine.add_event_handler(Events.EPOCH_STARTED, self._open)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._advance)
        # The bar must be complete before a validation prints its scores below it.
        engine.add_event_handler(Events.ITERATION_COMPLETED(event_filter=_ends_epoch), self._close)
        on_failure(engine, self._close)

    def _open(self, engine: Workflow) -> None:
        state = engine.state
        self.bar = Bar(
            total=state.epoch_length,
            initial=state.iteration % state.epoch_length,
            desc=f"epoch {state.epoch}/{state.max_epochs}",
            unit="it",
            dynamic_ncols=True,
        )

    def _advance(self, engine: Workflow) -> None:
        assert self.bar is not None
        self.bar.set_postfix({name: f"{value:.4g}" for name, value in engine.state.losses.items()}, refresh=False)
        self.bar.update()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def _ends_epoch(engine: Workflow, event: int) -> bool:
    return event % engine.state.epoch_length == 0
