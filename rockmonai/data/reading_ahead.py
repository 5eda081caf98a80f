"""A DataLoader whose worker processes end when they should, and fail where it can be understood."""

from __future__ import annotations

import atexit
import signal
import threading
from typing import Any

from torch.utils.data import DataLoader, Dataset


class ReadingAhead(DataLoader):
    """A DataLoader with workers that outlive the signals of a scheduler, but never their parent.

    Args:
        dataset: what is read.
        num_workers: processes that read ahead; 0 reads in this process.
        **options: of DataLoader.
    """

    def __init__(self, dataset: Dataset, num_workers: int = 0, **options: Any) -> None:
        super().__init__(dataset, num_workers=num_workers, worker_init_fn=_leave_signals_to_the_engine, **options)

    def __iter__(self) -> Any:
        """Return the iterator over the batches; it raises a RuntimeError where it waits for a worker that died."""
        batches = super().__iter__()
        if not self.num_workers:
            return batches
        if threading.current_thread() is threading.main_thread():
            # Torch would raise from the signal of a dead worker, at whatever line this process is at that moment.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for worker in batches._workers:  # type: ignore[attr-defined]
            # They do not hear the signal with which multiprocessing would end them if this process fails.
            atexit.register(worker.kill)
        return batches


def _leave_signals_to_the_engine(worker: int) -> None:
    """Make a worker deaf to the signals that a scheduler sends to all processes.

    Workers must live until the engine has saved its work and dismisses them.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
