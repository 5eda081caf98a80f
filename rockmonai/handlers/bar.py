"""The progress bar of all engines."""

from __future__ import annotations

import threading

from tqdm import tqdm


class Bar(tqdm):
    """A bar of this process alone.

    tqdm's own shares a lock with forked processes, and waits for ever when a worker is killed that holds it.
    """

    monitor_interval = 0


Bar.set_lock(threading.RLock())
