"""RAW: bytes without a header, and the JSON file beside them that says what they are."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from rockmonai.errors import DataError
from rockmonai.volumes.atomic import reserve
from rockmonai.volumes.planes import mapped
from rockmonai.volumes.sidecar import stated_spacing, write_sidecar
from rockmonai.volumes.source import Layout, Sink, Source

_EXAMPLE = '{"shape": [1000, 1000, 1000], "dtype": "uint16", "spacing": 2.5}'
_BYTE_ORDERS = {"little": "<", "big": ">"}
_AXES = {2: "YX", 3: "ZYX", 4: "CZYX"}


def open_source(path: Path, member: str) -> Source:
    """Map ``scan.raw`` as its sidecar ``scan.json`` describes it.

    The sidecar holds ``shape`` ((z,) y, x) and ``dtype``, and may hold ``spacing`` (µm, one number or (z,) y, x),
    ``byte_order`` (``"little"`` or ``"big"``), ``offset`` (bytes to skip) and ``axes`` (such as ``"CYX"``, where there
    are channels).

    Raises:
        DataError: the sidecar is missing or incomplete, or the file is not as long as it says.
    """
    sidecar = path.with_suffix(".json")
    if not sidecar.exists():
        raise DataError(f"{path} has no header: write {sidecar.name} beside it, such as {_EXAMPLE}.")
    facts = _facts(sidecar)
    shape, offset = tuple(facts["shape"]), int(facts.get("offset", 0))
    dtype = np.dtype(facts["dtype"])
    if "byte_order" in facts:
        dtype = dtype.newbyteorder(_BYTE_ORDERS[facts["byte_order"]])
    axes = facts.get("axes") or _AXES[len(shape)]
    expected, found = offset + math.prod(shape) * dtype.itemsize, path.stat().st_size
    if found != expected:
        raise DataError(
            f"{path} has {found} bytes but {sidecar.name} asks for {expected} (offset {offset}, {shape} {dtype.name}): "
            "mend the shape, dtype or offset."
        )
    return Source(mapped(path, dtype, offset, shape), axes, stated_spacing(sidecar, facts, axes))


def _facts(sidecar: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(sidecar.read_text("utf-8"))
        np.dtype(facts["dtype"])
        valid = len(facts["shape"]) in _AXES and facts.get("byte_order", "little") in _BYTE_ORDERS
        valid &= len(facts.get("axes") or facts["shape"]) == len(facts["shape"])
    except (ValueError, TypeError, KeyError):
        valid = False
    if not valid:
        raise DataError(f"{sidecar} does not describe a RAW file: write something like {_EXAMPLE}.")
    return facts


def create(path: Path, layout: Layout) -> Sink:
    """Create a little-endian RAW file and its sidecar."""
    write_sidecar(path.with_suffix(".json"), layout)
    path.touch()
    reserve(path, math.prod(layout.stored) * layout.dtype.itemsize)
    pixels = np.memmap(path, layout.dtype.newbyteorder("<"), "r+", shape=layout.stored)
    return Sink(pixels, layout.axes, finish=pixels.flush)
