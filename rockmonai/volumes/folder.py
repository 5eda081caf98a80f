"""A folder of slices as one volume, in the order people number them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from rockmonai.errors import DataError
from rockmonai.volumes.deferred import Deferred
from rockmonai.volumes.formats import inventory, picture_kind
from rockmonai.volumes.listing import stem_of
from rockmonai.volumes.natural import natural_sorted
from rockmonai.volumes.planes import Planes, mapped
from rockmonai.volumes.source import Source


def open_source(path: Path, member: str) -> Source:
    """Open a folder whose images have one format, shape and dtype; the headers of all are read once.

    Raises:
        DataError: no image in the folder, images of several formats, or one that differs from the first.
    """
    files = _files(path)
    kinds = {picture_kind(file) for file in files} - {None}
    if len(kinds) != 1:
        found = inventory(file.name for file in files)
        wanted = "holds no TIFF, PNG or JPG slices" if not kinds else "mixes image formats"
        raise DataError(f"{path} {wanted} (found {found}): keep the slices of one volume, and only them, in a folder.")

    slices = [file for file in files if picture_kind(file)]
    opener = import_module(f"rockmonai.volumes.{kinds.pop()}").open_source
    first = _slice(opener, slices[0])
    shape, dtype = first.array.shape, first.array.dtype.newbyteorder("=")

    planes: list[Callable[[], Any]] = []
    for file in slices:
        source = _slice(opener, file)
        _check_alike(file, source, slices[0], first)
        if isinstance(source.array, np.memmap):
            planes.append(partial(mapped, file, source.array.dtype, source.array.offset, shape))
        else:
            planes.append(Deferred(shape, dtype, partial(_decode, opener, file)).values)
        source.close()
    first.close()
    return Source(
        Planes(planes, shape, dtype),
        "Z" + first.axes,
        samples=first.samples,
        white=first.white,
        palette=first.palette,
    )


def slice_names(path: str | Path) -> list[str] | None:
    """Return the names of the slices of a folder, without their endings, from the first to the last.

    None for what is no folder of slices, or where two of them have one name.
    """
    path = Path(path)
    if not path.is_dir():
        return None
    names = [stem_of(file) for file in _files(path) if picture_kind(file)]
    return names if names and len(set(names)) == len(names) else None


def _files(folder: Path) -> list[Path]:
    return natural_sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _slice(opener: Callable[[Path, str], Source], file: Path) -> Source:
    try:
        return opener(file, "")
    except DataError:
        raise
    except Exception as error:  # a damaged file makes the libraries raise anything
        raise DataError(f"{file} cannot be read ({error}): restore this slice or remove it from the folder.") from error


def _decode(opener: Callable[[Path, str], Source], file: Path) -> np.ndarray:
    source = _slice(opener, file)
    try:
        return np.asarray(source.array[(slice(None),) * len(source.array.shape)])
    finally:
        source.close()


def _check_alike(file: Path, source: Source, first_file: Path, first: Source) -> None:
    if "Z" in source.axes:
        raise DataError(f"{file} is a stack of {source.array.shape[0]} pages, not a slice: open the file itself.")
    found, wanted = (
        (f"{s.array.shape} {s.array.dtype.newbyteorder('=')}", s.axes, s.samples, s.white) for s in (source, first)
    )
    if found != wanted:
        raise DataError(
            f"{file.name} is {found[0]} {found[1]} but {first_file.name} is {wanted[0]} {wanted[1]}: "
            "the slices of a volume have one shape, dtype and kind of colour."
        )
    found_colours, wanted_colours = (np.empty(0) if s.palette is None else s.palette for s in (source, first))
    if not np.array_equal(found_colours, wanted_colours):
        raise DataError(f"{file.name} has another palette than {first_file.name}: save all slices with one palette.")
