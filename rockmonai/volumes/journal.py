"""What has been written of a volume: one line per block, appended after its voxels."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rockmonai.volumes.atomic import atomic_write
from rockmonai.volumes.blocks import Box

# What a resumed run found intact, its header first; never appended to, so that all ranks read the same.
_INTACT = "journal.jsonl"


@dataclass(frozen=True)
class Entry:
    """A block that was written.

    Attributes:
        block: its number.
        where: its voxels along (z,) y, x.
        crc32: of its values.
        clipped: how many of them were clipped to the range of their dtype.
    """

    block: int
    where: Box
    crc32: int
    clipped: int = field(default=0, compare=False)

    @classmethod
    def of(cls, block: int, where: Box, values: np.ndarray, clipped: int = 0) -> Entry:
        """Return the entry of a block with these values."""
        return cls(block, where, zlib.crc32(np.ascontiguousarray(values).data), clipped)


def append(folder: Path, rank: int, entry: Entry) -> None:
    """Note a block whose voxels are in their place; the line is on the disk on return.

    Args:
        folder: of the volume that is being written.
        rank: of the process; each has its own file.
        entry: the block.
    """
    with open(folder / f"journal-{rank}.jsonl", "a", encoding="utf-8") as file:
        file.write(_line(entry))
        file.flush()
        os.fsync(file.fileno())


def begin(folder: Path, header: dict[str, Any], intact: Iterable[Entry] = ()) -> None:
    """Replace all journals of ``folder`` by a header and the blocks that are known to be intact."""
    with atomic_write(folder / _INTACT) as path:
        path.write_text(json.dumps(header) + "\n" + "".join(map(_line, intact)), "utf-8")
    for file in folder.glob("journal-*.jsonl"):
        file.unlink()


def header_of(folder: Path) -> dict[str, Any] | None:
    """Return the header with which the volume was begun, None if it never was."""
    file = folder / _INTACT
    return json.loads(file.read_text("utf-8").partition("\n")[0]) if file.exists() else None


def intact(folder: Path) -> list[Entry]:
    """Return the blocks that were found intact when the present run began."""
    return _read(folder / _INTACT)


def written(folder: Path) -> list[Entry]:
    """Return the blocks that any rank has ever noted, each once, as it was written last."""
    files = sorted(folder.glob("journal*.jsonl"), key=lambda file: file.name != _INTACT)
    entries = [entry for file in files for entry in _read(file)]
    return list({entry.block: entry for entry in entries}.values())


def _line(entry: Entry) -> str:
    where = [[part.start, part.stop] for part in entry.where]
    return json.dumps({"block": entry.block, "where": where, "crc32": entry.crc32, "clipped": entry.clipped}) + "\n"


def _read(file: Path) -> list[Entry]:
    entries = []
    for line in file.read_text("utf-8", errors="replace").splitlines():
        try:
            facts = json.loads(line)
            where = tuple(slice(*part) for part in facts["where"])
            entries.append(Entry(facts["block"], where, facts["crc32"], facts["clipped"]))
        except (ValueError, KeyError, TypeError):
            continue  # the header, or a line that a kill or a full disk has cut short
    return entries
