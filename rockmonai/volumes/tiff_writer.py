"""OME-TIFF in one contiguous piece, written through a memory map."""

from __future__ import annotations

import uuid
from pathlib import Path

import tifffile

from rockmonai.volumes.atomic import reserve
from rockmonai.volumes.indexing import spatial_axes
from rockmonai.volumes.source import Layout, Sink


def create(path: Path, layout: Layout) -> Sink:
    """Create an uncompressed OME-TIFF with its spacing; it is a BigTIFF where classic TIFF ends, at 4 GB."""
    spatial = spatial_axes(len(layout.shape))
    if layout.colour:
        axes, samples, shape, photometric = f"{spatial}C", f"{spatial}S", (*layout.shape[1:], 3), "rgb"
    else:
        axes, samples, shape, photometric = layout.axes, layout.axes, layout.stored, "minisblack"
    metadata: dict[str, object] = {"axes": samples}
    for axis, size in zip(spatial, layout.spacing or (), strict=False):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    # tifffile draws a new one for each file; the same volume shall give the same bytes.
    metadata["UUID"] = str(uuid.uuid5(uuid.NAMESPACE_OID, repr(layout)))
    tifffile.memmap(path, shape=shape, dtype=layout.dtype, ome=True, photometric=photometric, metadata=metadata)
    reserve(path, path.stat().st_size)
    pixels = tifffile.memmap(path, mode="r+")
    return Sink(pixels.reshape(shape), axes, finish=pixels.flush)
