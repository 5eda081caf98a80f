"""What is left of an interrupted run: whether it is the same run, which blocks are intact, what has to go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from rockmonai.errors import ModelError
from rockmonai.volumes.changes import changes
from rockmonai.volumes.journal import Entry
from rockmonai.volumes.source import Layout


def header_for(identity: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """Return all that must be the same for a run to be continued, as JSON holds it."""
    output = {
        "shape": layout.shape,
        "dtype": layout.dtype.name,
        "spacing": layout.spacing,
        "pieces": layout.chunks,
    }
    header: dict[str, Any] = json.loads(json.dumps({**identity, "output": output}, default=str))
    return header


def refuse_another(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """Raise a ModelError if the run in ``folder`` was begun for another result."""
    changed = changes(before, now)
    if not changed:
        return
    anew = "pass --overwrite true to start anew, or choose another --output_file"
    if not changes({**before, "input": None}, {**now, "input": None}):
        raise ModelError(f"the input has changed since {folder} was begun ({changed}); restore it, {anew}.")
    raise ModelError(f"{folder} was begun with other values ({changed}); rerun with the same values, {anew}.")


def is_intact(array: Any, entry: Entry) -> bool:
    """Tell whether a block reads back as it was written."""
    try:
        values = array[(slice(None), *entry.where)]
    except Exception:  # damaged data makes the codecs raise anything
        return False
    return Entry.of(entry.block, entry.where, values) == entry


def clear(folder: Path, keep: Iterable[str]) -> None:
    """Remove everything in ``folder`` but the names to keep."""
    for entry in folder.iterdir():
        if entry.name in keep:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def sweep(level: Path, array: Any, entries: Iterable[Entry]) -> None:
    """Remove every file of a Zarr array that does not belong to one of the blocks.

    These are the temporary files of a killed process, blocks whose line in the journal is missing, and damaged ones:
    Zarr reads a shard at the far face before it writes it, and would trip over its remains.
    """
    lengths = (array.shards or array.chunks)[1:]
    kept = {
        array.metadata.encode_chunk_key((channel, *place))
        for entry in entries
        for channel in range(array.shape[0])
        for place in product(
            *(range(part.start // n, -(-part.stop // n)) for part, n in zip(entry.where, lengths, strict=True))
        )
    }
    for file in (level / "c").rglob("*"):
        if file.is_file() and file.relative_to(level).as_posix() not in kept:
            file.unlink()
