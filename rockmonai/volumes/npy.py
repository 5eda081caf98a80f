"""NPY by memory map; spacing and channels, for which it has no place, in ``scan.npy.json`` beside it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from rockmonai.errors import DataError
from rockmonai.volumes.atomic import reserve
from rockmonai.volumes.sidecar import stated_spacing, write_sidecar
from rockmonai.volumes.source import Layout, Sink, Source

_AXES = {2: "YX", 3: "ZYX", 4: "CZYX"}


def open_source(path: Path, member: str) -> Source:
    """Map an array (y, x), (z, y, x) or (c, z, y, x); a sidecar may state its ``spacing`` (µm) and ``axes``.

    Raises:
        DataError: the array has another number of axes.
    """
    array = np.load(path, mmap_mode="r")
    if array.ndim not in _AXES:
        raise DataError(f"{path} holds an array of shape {array.shape}: save it as (y, x), (z, y, x) or (c, z, y, x).")
    sidecar = path.with_name(path.name + ".json")
    facts = json.loads(sidecar.read_text("utf-8")) if sidecar.exists() else {}
    axes = facts.get("axes") or _AXES[array.ndim]
    return Source(array, axes, stated_spacing(sidecar, facts, axes))


def create(path: Path, layout: Layout) -> Sink:
    """Create an NPY file and its sidecar."""
    write_sidecar(path.with_name(path.name + ".json"), layout)
    with open(path, "wb") as file:
        header = {"descr": layout.dtype.str, "fortran_order": False, "shape": layout.stored}
        np.lib.format.write_array_header_2_0(file, header)
        length = file.tell() + math.prod(layout.stored) * layout.dtype.itemsize
    reserve(path, length)
    pixels = np.load(path, mmap_mode="r+")
    return Sink(pixels, layout.axes, finish=pixels.flush)
