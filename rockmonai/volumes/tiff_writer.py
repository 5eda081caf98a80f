"""OME-TIFF in one contiguous piece, written through a memory map."""

from __future__ import annotations

import uuid
from pathlib import Path

import tifffile

from rockmonai.volumes.atomic import reserve
from rockmonai.volumes.source import Layout, Sink


def create(path: Path, layout: Layout) -> Sink:
    """Create an uncompressed OME-TIFF with its spacing; it is a BigTIFF where classic TIFF ends, at 4 GB."""
    metadata: dict[str, object] = {"axes": layout.axes}
    for axis, size in zip(layout.axes.lstrip("C"), layout.spacing or (), strict=False):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    # tifffile draws a new one for each file; the same volume shall give the same bytes.
    metadata["UUID"] = str(uuid.uuid5(uuid.NAMESPACE_OID, repr(layout)))
    tifffile.memmap(
        path, shape=layout.stored, dtype=layout.dtype, ome=True, photometric="minisblack", metadata=metadata
    )
    reserve(path, path.stat().st_size)
    pixels = tifffile.memmap(path, mode="r+")
    return Sink(pixels.reshape(layout.stored), layout.axes, finish=pixels.flush)
