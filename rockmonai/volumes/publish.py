"""Finished files and folders get their final names."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from rockmonai.errors import OutputError
from rockmonai.volumes.atomic import partial_name, sync

_SLICE = re.compile(r"\d+\.(png|tif)")


def refuse_existing(target: Path, overwrite: bool, names: Collection[str] = ()) -> None:
    """Raise an OutputError if ``target`` exists and may not be replaced.

    Args:
        target: a folder may be replaced only if it is a Zarr, or holds numbered slices and such of these ``names``.
        overwrite: whether anything may.
        names: of the slices that take their place.
    """
    if target.exists() and not overwrite:
        raise OutputError(
            f"{target} exists: remove it, choose another name or overwrite it (overwrite=True, or --overwrite true)."
        )
    strange = [] if target.suffix == ".zarr" or not target.is_dir() else _not_slices(target, names)
    if strange:
        raise OutputError(
            f"{target} is a folder that holds more than numbered slices ({strange[0]}) and is not replaced: choose "
            "another name."
        )


def _not_slices(folder: Path, names: Collection[str]) -> list[str]:
    known = {f"{name}{suffix}" for name in names for suffix in (".png", ".tif")}
    return sorted(e.name for e in folder.iterdir() if not (_SLICE.fullmatch(e.name) or e.name in known))


def publish(finished: Path, target: Path, overwrite: bool) -> None:
    """Rename a file or folder to ``target``, on the same disk, once all its bytes are on it.

    A folder that stands in the way is moved aside first and removed last.

    Raises:
        OutputError: the target exists and may not be replaced.
    """
    refuse_existing(target, overwrite, [entry.stem for entry in finished.iterdir()] if finished.is_dir() else ())
    for path in [finished, *finished.rglob("*")]:
        sync(path)
    replaced = partial_name(target)
    if target.is_dir():
        os.replace(target, replaced)
    os.replace(finished, target)
    sync(target.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def publish_all(folder: Path, path: Path, overwrite: bool) -> None:
    """Publish what a format has made in ``folder`` beside ``path``: a sidecar before the file that it describes."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == path.name):
        publish(entry, path.with_name(entry.name), overwrite)
