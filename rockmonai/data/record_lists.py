"""Data sets that a JSON file lists, record by record."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rockmonai.data.splits import SPLITS
from rockmonai.data.volume_entries import from_volume_entry
from rockmonai.errors import DataError
from rockmonai.volumes import stem_of

logger = logging.getLogger("rockmonai")

# What the published 3D CycleGAN reads where a list has nothing for a split.
_INSTEAD = {"train": "validation", "validation": "train"}


def listed_splits(file: Path) -> list[str]:
    """Return the splits that ``file`` has records for.

    Raises:
        DataError: the file is no JSON of this form, or has records for none.
    """
    content = _content(file)
    found = [split for split, names in SPLITS.items() if any(content.get(name) for name in names)]
    if not found:
        raise DataError(f"{file} lists no records of {', '.join(SPLITS)}; it has {', '.join(content) or 'no lists'}.")
    return found


def read_list(
    file: Path, split: str, folders: Mapping[str, str], optional: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Return the records that ``file`` lists for one split.

    The file maps the names of splits to lists of records; a record maps keys to files, relative to the list, and may
    have a ``name`` and a ``roi``. A record without an ``image`` takes its label for it, if labels are wanted. One with
    a ``path`` is read as :func:`rockmonai.data.volume_entries.from_volume_entry` says, and is all that is wanted; where
    all records of a list are such, those that train also validate if there are no others, and the other way round.

    Args:
        file: ``{"train": [{"label": "a.tif", "roi": [[0, 64], [0, 128], [0, 128]]}], "test": [...]}``.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        folders: its keys are those that a record must have,
        optional: but for these, which it may have.

    Raises:
        DataError: the file is no JSON of this form, or has nothing for the split.
    """
    content = _content(file)
    listed = _listed(content, split) or _instead(content, split, file)
    if not listed:
        raise DataError(f"{file} lists no '{split}' records; it has {', '.join(content) or 'no lists'}.")
    if not isinstance(listed, list):
        raise DataError(f"'{split}' in {file} is a {type(listed).__name__}; write a list of records.")
    return [
        _record(entry, f"Record {number} of '{split}' in {file}", file.parent, folders, optional)
        for number, entry in enumerate(listed, start=1)
    ]


def _listed(content: Mapping[str, Any], split: str) -> Any:
    return next((content[name] for name in SPLITS[split] if name in content), None)


def _instead(content: Mapping[str, Any], split: str, file: Path) -> list[Any] | None:
    """Return the records that stand in for those of a split, as the published code has it, in lists of its form."""
    other = _INSTEAD.get(split)
    listed = None if other is None else _listed(content, other)
    if not listed or not all(isinstance(entry, dict) and "path" in entry for entry in listed):
        return None
    logger.info("%s lists no '%s' records: those of '%s' take their place", file, split, other)
    return listed


def _content(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise DataError(f"{file} is not JSON ({error}); mend it there.") from error
    if not isinstance(content, dict):
        raise DataError(f"{file} holds a {type(content).__name__}; write an object of lists, {{'train': [...], ...}}.")
    return content


def _record(
    entry: Any, where: str, parent: Path, folders: Mapping[str, str], optional: Collection[str]
) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise DataError(f"{where} is a {type(entry).__name__}; write an object such as {{'label': 'scan.tif'}}.")
    if "path" in entry:
        entry = from_volume_entry(entry, parent, [key for key in folders if key not in optional], where)
    files = {}
    for key in folders:
        given = "label" if key == "image" and "label" in folders and key not in entry else key
        if given not in entry and key in optional:
            continue
        if not isinstance(entry.get(given), str):
            raise DataError(f"{where} names no file for '{given}'; it has {', '.join(entry) or 'nothing'}.")
        files[key] = str(parent / entry[given])
    region = {"roi": entry["roi"]} if "roi" in entry else {}
    return {"name": str(entry.get("name", stem_of(files.get("label", files["image"])))), **files, **region}
