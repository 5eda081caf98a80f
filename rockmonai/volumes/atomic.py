"""Files that appear complete or not at all, and what a full or read-only disk says in one sentence."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rockmonai.errors import OutputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary file name in the same folder; publish it as ``path`` when the block ends well.

    The file is fsynced, renamed over ``path`` (which is replaced) and the folder is fsynced. When the block raises,
    the temporary file is removed and ``path`` stays as it was.

    Give ``torch.save`` a file opened on the temporary name, not the name itself: it hides why a write failed.

    Args:
        path: the final name.

    Yields:
        The name to write to.

    Raises:
        OutputError: the folder is missing or cannot be written, or the disk is full.
    """
    path = Path(path)
    partial = partial_name(path)
    try:
        with output_errors(path):
            partial.touch()
            yield partial
            sync(partial)
            os.replace(partial, path)
            sync(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def make_writable(folder: Path, remedy: str) -> None:
    """Make ``folder`` if need be, and see that it can be written before any work is done for it.

    Args:
        folder: the folder.
        remedy: the end of the sentence if it cannot, for instance ``"choose another --output_dir"``.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made ({error.strerror}); {remedy}.") from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{folder} cannot be written; {remedy}.")


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn what the system says while ``path`` is written into an OutputError; other errors pass unchanged."""
    try:
        yield
    except Exception as error:
        # torch.save and h5py raise their own RuntimeError over the system's error.
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__ or cause.__context__
        sentence = _sentence(path, cause) if isinstance(cause, OSError) else None
        if sentence is None:
            raise
        raise OutputError(sentence) from error


def _sentence(path: Path, error: OSError) -> str | None:
    folder = path.parent
    if not folder.is_dir():
        return f"{path} cannot be written because the folder {folder} does not exist: create it first."
    if error.errno in _FULL or "No space left" in str(error):
        free = shutil.disk_usage(folder).free / 1e9
        return (
            f"the disk is full while writing {path} ({free:.1f} GB free): nothing was published; make room and rerun."
        )
    if error.errno in _REFUSED:
        return f"{path} cannot be written, {os.strerror(error.errno).lower()}: choose a folder that you may write to."
    return None


def partial_name(path: Path) -> Path:
    """Return a hidden name beside ``path`` that no other process uses."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


def reserve(path: Path, nbytes: int) -> None:
    """Give ``path`` this size on the disk, so that a memory map of it cannot run out of room (SIGBUS) later."""
    with open(path, "r+b") as file:
        file.truncate(nbytes)
        # Absent on some systems, where running out of room then shows later.
        if hasattr(os, "posix_fallocate") and nbytes:
            os.posix_fallocate(file.fileno(), 0, nbytes)


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, have reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits, reading it in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
