"""Whether a scan is still the one that a run began with, without reading all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rockmonai.errors import DataError
from rockmonai.volumes.formats import picture_kind

# Of a file, this many pieces are read, evenly spaced from its first bytes to its last; of a folder, so many files.
_SAMPLES = 18
_PIECE = 64 << 10

# Files without which the named one says nothing.
_COMPANIONS = {
    ".raw": (".json",),
    ".npy": (".npy.json",),
    ".mhd": (".raw", ".zraw"),
    ".nhdr": (".raw", ".raw.gz"),
}


def fingerprint(path: str | Path) -> dict[str, Any]:
    """Return what tells a scan from another: its size, its files, a hash of samples and when it was last changed.

    It costs milliseconds for a file of any size, and a look at each name of a folder. A change that keeps the size and
    hides between the samples only shows in ``modified``, which a copy that keeps its times (``cp -p``) shares.

    Args:
        path: as `open_volume` takes it: a file, a folder or ``file::dataset``.

    Returns:
        ``size`` in bytes, ``files``, ``sha256`` (of the names in a folder, all sizes and sampled bytes), ``modified``
        (a hash of the times of all files), and ``dataset`` where one is named.

    Raises:
        DataError: nothing is there.
    """
    name, _, dataset = str(path).partition("::")
    root = Path(name)
    content, times, size = hashlib.sha256(), hashlib.sha256(), 0
    try:
        files = _files(root)
        sampled = set(_spread(len(files), _SAMPLES))
        for number, file in enumerate(files):
            facts = file.stat()
            inside = file.relative_to(root).as_posix() if root.is_dir() else file.suffix
            content.update(f"{inside}\0{facts.st_size}\0".encode())
            times.update(f"{facts.st_mtime_ns}\0".encode())
            size += facts.st_size
            if number in sampled:
                _add_samples(content, file, facts.st_size)
    except OSError as error:
        raise DataError(f"{root} cannot be read ({error.strerror}): check the path.") from error
    return {
        "size": size,
        "files": len(files),
        "sha256": content.hexdigest(),
        "modified": times.hexdigest(),
        **({"dataset": dataset} if dataset else {}),
    }


def check_unchanged(path: str | Path, before: Mapping[str, Any]) -> None:
    """See that a scan is as it was, its time of change included.

    Args:
        path: the scan.
        before: its `fingerprint` when the run began.

    Raises:
        DataError: it was changed, replaced or removed in the meantime.
    """
    if fingerprint(path) != before:
        raise DataError(f"{path} was modified during the run: the result mixes two inputs, run again on a still one.")


def _files(root: Path) -> list[Path]:
    if root.is_dir():
        slices = [file for file in root.iterdir() if picture_kind(file)]
        return sorted(slices or (file for file in root.rglob("*") if file.is_file()))
    beside = (root.with_suffix(suffix) for suffix in _COMPANIONS.get(root.suffix.lower(), ()))
    return [root, *(file for file in beside if file.exists())]


def _spread(count: int, most: int) -> Sequence[int]:
    """Return at most ``most`` numbers below ``count``, evenly spaced from the first to the last."""
    return range(count) if count <= most else [round(n * (count - 1) / (most - 1)) for n in range(most)]


def _add_samples(content: Any, file: Path, size: int) -> None:
    with open(file, "rb") as stream:
        if size <= _SAMPLES * _PIECE:
            content.update(stream.read())
            return
        for at in _spread(size - _PIECE + 1, _SAMPLES):
            stream.seek(at)
            content.update(stream.read(_PIECE))
