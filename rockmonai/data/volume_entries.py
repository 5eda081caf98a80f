"""Entries of a list as the published 3D CycleGAN has them: a data set of an HDF5 file and a region of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rockmonai.errors import DataError
from rockmonai.volumes import open_volume
from rockmonai.volumes.blocks import in_words

# The data set of an HDF5 file that names none.
_MEMBER = "data"
_HDF5 = (".h5", ".hdf5", ".hdf")


def from_volume_entry(entry: Mapping[str, Any], parent: Path, keys: Iterable[str], where: str) -> dict[str, Any]:
    """Return ``entry`` as a record: its volume under every one of ``keys``, and its region as ``roi``.

    The region is given axis by axis, ``ROI0`` for z, ``ROI1`` for y and ``ROI2`` for x, as ``[start, stop]``; an axis
    that is not given is taken whole. Numbers below 0 count from the end, as in Python, but for a ``stop`` of -1, which
    is the end: ``[0, -1]`` is the whole axis.

    Args:
        entry: ``{"path": "fast.h5", "dset": "data", "ROI0": [8, 120]}``; of HDF5 files the data set is ``data`` unless
            ``dset`` says otherwise, or the only image of a file that has no ``data``.
        parent: folder that ``path`` is relative to.
        keys: what the volume is.
        where: the entry, for the message.

    Raises:
        DataError: there is another key, no such volume, a data set that is named twice, a region that is no pair of
            whole numbers, or one of a single slice.
    """
    known = {"path", "dset", "name", "ROI0", "ROI1", "ROI2"}
    unknown = [key for key in entry if key not in known]
    if unknown or not isinstance(entry["path"], str):
        raise DataError(
            f"{where} has a path and '{(unknown or ['path'])[0]}'; give the path as text, and beside it dset, name, "
            "ROI0, ROI1 and ROI2 alone."
        )
    path = _with_member(entry, parent, where)
    record: dict[str, Any] = dict.fromkeys(keys, path)
    if "name" in entry:
        record["name"] = entry["name"]
    axes = ("ROI0", "ROI1", "ROI2")
    if any(axis in entry for axis in axes):
        shape = open_volume(parent / path).spatial_shape
        if len(shape) != len(axes):
            raise DataError(
                f"{where} has a region along z, y and x, but {path} is one slice of {in_words(shape)} pixels: leave "
                "ROI0, ROI1 and ROI2 out, or name it as a 'label' with a 'roi' along y and x."
            )
        spans = [entry.get(axis, [0, size]) for axis, size in zip(axes, shape, strict=True)]
        record["roi"] = [_from_the_start(span, size, where) for span, size in zip(spans, shape, strict=True)]
    return record


def _with_member(entry: Mapping[str, Any], parent: Path, where: str) -> str:
    """Return the path of an entry with the data set that it means."""
    path: str = entry["path"]
    if "::" in path and "dset" in entry:
        raise DataError(f"{where} names a data set in '{path}' and as dset '{entry['dset']}'; name it once.")
    if "dset" in entry:
        return f"{path}::{entry['dset']}"
    usual = f"{path}::{_MEMBER}"
    return usual if Path(path).suffix.lower() in _HDF5 and _opens(parent / usual) else path


def _opens(path: Path) -> bool:
    try:
        open_volume(path).close()
    except DataError:  # whatever else is wrong with the file is told when it is read
        return False
    return True


def _from_the_start(span: Any, size: int, where: str) -> list[int]:
    """Return a ``[start, stop]`` whose negative numbers are counted from the end of an axis of ``size`` voxels."""
    try:
        start, stop = (int(number) for number in span if number == int(number))
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} has a region {span!r}; give each axis its [start, stop] in voxels.") from error
    if stop == -1:
        stop = size
    return [start + size if start < 0 else start, stop + size if stop < 0 else stop]
