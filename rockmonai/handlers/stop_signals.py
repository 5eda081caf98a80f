"""Notes that the process was asked to stop, so that the work in hand can be finished first."""

from __future__ import annotations

import signal
import threading
from types import FrameType

import torch
import torch.distributed as dist


class StopSignals:
    """Listens for SIGTERM, SIGINT and SIGUSR1 (what schedulers and people send) and remembers the first.

    A second signal interrupts at once. Outside the main thread, where Python delivers no signals, it hears nothing.

    Attributes:
        received: the signal that came, or None.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    def listen(self) -> None:
        """Begin to listen, instead of whoever did."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
                self._before[number] = signal.signal(number, self._note)

    def restore(self) -> None:
        """Hand the signals back to whoever listened before."""
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)  # type: ignore[arg-type]

    def ask_all(self) -> bool:
        """Tell whether any rank was asked to stop; all of them learn it in the same iteration."""
        if dist.is_available() and dist.is_initialized():
            number = torch.tensor(self.received or 0)
            dist.all_reduce(number, dist.ReduceOp.MAX)
            self.received = signal.Signals(int(number)) if number else None
        return self.received is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
