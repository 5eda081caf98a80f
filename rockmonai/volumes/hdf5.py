"""HDF5, and the two formats that are HDF5 underneath: NetCDF-4 and MAT v7.3."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rockmonai.errors import DataError, did_you_mean
from rockmonai.volumes.atomic import reserve
from rockmonai.volumes.source import Layout, Sink, Source
from rockmonai.volumes.units import micrometres

_AXES = {2: "YX", 3: "ZYX", 4: "CZYX"}
# MATLAB shows (y, x, z, c) and stores the last axis slowest, which HDF5 lists first.
_MATLAB_AXES = {2: "XY", 3: "ZXY", 4: "CZXY"}


def open_source(path: Path, member: str) -> Source:
    """Open the data set ``member``, or the only one with 2 to 4 axes.

    Axes are ((c,) z,) y, x unless the attribute ``axes`` says otherwise; in a MAT file they are MATLAB's own
    (y, x (, z (, c))). Spacing is the attribute ``spacing`` or ``element_size_um`` (µm), or follows from a NetCDF
    file's coordinates.

    Raises:
        DataError: no such data set, several to choose from, or the file is the older kind that is not HDF5.
    """
    if not h5py.is_hdf5(path):
        older = {".mat": "save it in MATLAB with -v7.3", ".nc": "convert it with nccopy -k nc4"}
        remedy = older.get(path.suffix.lower(), "restore it from its original")
        raise DataError(f"{path} is not an HDF5 file: {remedy}.")
    file = h5py.File(path, "r")
    try:
        dataset = _choose(path, file, member)
        axes = _axes(dataset)
        return Source(dataset, axes, _spacing(dataset, axes), file.close)
    except BaseException:
        file.close()
        raise


def _choose(path: Path, file: h5py.File, member: str) -> h5py.Dataset:
    images: dict[str, h5py.Dataset] = {}

    def collect(name: str, item: Any) -> None:
        # MATLAB keeps the contents of cells under #refs#.
        if isinstance(item, h5py.Dataset) and 2 <= item.ndim <= 4 and item.dtype.kind in "buif" and name[0] != "#":
            images[name] = item

    file.visititems(collect)
    if member.strip("/") in images:
        return images[member.strip("/")]
    if member:
        raise DataError(f"{path} has no image '{member}'{did_you_mean(member, images)}: it holds {_list(images)}.")
    if len(images) != 1:
        name = next(iter(images), "dataset")
        raise DataError(f"{path} holds {len(images)} images ({_list(images)}): name one as {path.name}::{name}.")
    return next(iter(images.values()))


def _axes(dataset: h5py.Dataset) -> str:
    stated = dataset.attrs.get("axes")
    if isinstance(stated, str) and len(stated) == dataset.ndim and set(stated) <= set("CZYX"):
        return stated
    return (_MATLAB_AXES if "MATLAB_class" in dataset.attrs else _AXES)[dataset.ndim]


def _list(images: dict[str, h5py.Dataset]) -> str:
    return ", ".join(f"{name} {dataset.shape}" for name, dataset in list(images.items())[:10]) or "none"


def _spacing(dataset: h5py.Dataset, axes: str) -> tuple[float, ...] | None:
    spatial = sum(axis in "ZYX" for axis in axes)
    for name in ("spacing", "element_size_um"):
        if name in dataset.attrs:
            return tuple(float(value) for value in np.ravel(dataset.attrs[name]))[-spatial:]
    steps = {axis: _step(dataset.dims[n]) for n, axis in enumerate(axes) if axis in "ZYX"}
    known = tuple(steps[axis] for axis in "ZYX" if axis in steps)
    return tuple(value for value in known if value is not None) if None not in known else None


def _step(dimension: Any) -> float | None:
    """Return the distance in µm between the first two coordinates of a NetCDF dimension."""
    if not len(dimension) or len(dimension[0]) < 2 or "units" not in dimension[0].attrs:
        return None
    units = dimension[0].attrs["units"]
    first, second = (float(value) for value in dimension[0][:2])
    return micrometres(second - first, units.decode() if isinstance(units, bytes) else str(units))


def create(path: Path, layout: Layout) -> Sink:
    """Create the data set ``volume``, chunked and uncompressed, with attributes ``axes`` and ``spacing``."""
    # HDF5 can crash the process when the disk fills up, so all its room is taken beforehand: once in an empty file,
    # to learn whether there is enough, and once for the chunks, which are laid out at once.
    path.touch()
    reserve(path, math.prod(layout.stored) * layout.dtype.itemsize)
    file = h5py.File(path, "w")
    at_once = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    at_once.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    chunks = (1, *layout.chunks)[-len(layout.axes) :]
    dataset = file.create_dataset("volume", layout.stored, layout.dtype, chunks=chunks, fill_time="never", dcpl=at_once)
    dataset.attrs["axes"] = layout.axes
    if layout.spacing is not None:
        dataset.attrs["spacing"] = layout.spacing
    file.flush()
    reserve(path, path.stat().st_size)
    return Sink(dataset, layout.axes, finish=file.close, discard=file.close)
