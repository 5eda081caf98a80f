"""One writer at a time: a lock that ends with the process that holds it."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
from datetime import datetime
from pathlib import Path

from rockmonai.errors import OutputError

logger = logging.getLogger("rockmonai")

_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_held: set[int] = set()


class Lock:
    """An exclusive lock on a file, taken at once or refused.

    The kernel keeps it (``flock``) and drops it when the process ends, however it ends: there is no stale lock to
    recognise by its process id, which another process may have by then, and no moment at which two processes can take
    over from a dead one. NFS and parallel file systems pass it on to the other hosts, and drop it with a host that
    died. Where a file system has no locks at all a warning says so. What the file holds only serves the message.

    Args:
        file: made if need be; its folder exists. It is left there.
        subject: what the lock protects, for the message.

    Raises:
        OutputError: another process holds it.
    """

    def __init__(self, file: Path, subject: Path) -> None:
        self._handle = _locked(file, subject)
        while not _is(file, self._handle):  # the holder before has removed the file in the meantime
            os.close(self._handle)
            self._handle = _locked(file, subject)
        _held.add(self._handle)
        os.ftruncate(self._handle, 0)
        now = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
        os.pwrite(self._handle, f"process {os.getpid()} on {socket.gethostname()} since {now}".encode(), 0)

    def release(self) -> None:
        """Let others have it."""
        if self._handle in _held:
            _held.remove(self._handle)
            os.close(self._handle)


def _locked(file: Path, subject: Path) -> int:
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _WITHOUT_LOCKS:
            logger.warning(f"{file.parent} has no file locks: see to it that a single process writes {subject}.")
            return handle
        holder = os.pread(handle, 200, 0).decode(errors="replace") or "another process"
        os.close(handle)
        if not isinstance(error, BlockingIOError):
            raise
        raise OutputError(f"{subject} is being written by {holder}: wait for it, or choose another name.") from None
    return handle


def _is(file: Path, handle: int) -> bool:
    return file.exists() and os.path.samestat(os.fstat(handle), os.stat(file))


def _let_go() -> None:
    # A worker of a DataLoader would otherwise keep the lock of a process that was killed.
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
