"""Cleaning up when an engine fails, without keeping the error from whoever waits for it."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from ignite.engine import Engine, Events


def on_failure(engine: Engine, clean_up: Callable[[], None]) -> None:
    """Have ``clean_up`` called when ``engine`` fails, perhaps more than once: Ignite tells of an error at each level.

    Ignite swallows an error that any handler of it does not raise again, and stops at the first handler that does:
    the one that raises must stay the last.
    """
    if engine.has_event_handler(_raise, Events.EXCEPTION_RAISED):
        engine.remove_event_handler(_raise, Events.EXCEPTION_RAISED)
    engine.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: clean_up())
    engine.add_event_handler(Events.EXCEPTION_RAISED, _raise)


def _raise(engine: Engine, error: BaseException) -> None:
    # Its frames would keep the loader alive, and Python would wait for ever, at its end, for workers that are deaf to
    # SIGTERM and were not dismissed.
    traceback.clear_frames(error.__traceback__)
    raise error
