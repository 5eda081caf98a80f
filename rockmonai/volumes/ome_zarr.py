"""Zarr arrays and OME-Zarr images (v2 and v3), read at full resolution; OME-Zarr 0.5 written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr
from zarr.codecs import ZstdCodec

from rockmonai.errors import DataError
from rockmonai.volumes.indexing import spatial_axes
from rockmonai.volumes.source import Layout, Sink, Source
from rockmonai.volumes.units import micrometres

_AXES = {2: "YX", 3: "ZYX", 4: "CZYX"}


def open_source(path: Path, member: str) -> Source:
    """Open the array or group at ``path``, or ``member`` inside it.

    A group with OME multiscales gives its level 0 and the spacing of its scale transformations; another group must
    hold a single array. A plain array is ((c,) z,) y, x.

    Raises:
        DataError: there is no single array to choose, or its axes are not those of one volume.
    """
    node = zarr.open(str(path), mode="r", path=member or None)
    if isinstance(node, zarr.Array):
        if node.ndim not in _AXES:
            raise DataError(
                f"{path} holds an array of shape {node.shape}: save it as (y, x), (z, y, x) or (c, z, y, x)."
            )
        return Source(node, _AXES[node.ndim])
    attributes: dict[str, Any] = dict(node.attrs)
    multiscales = (attributes.get("ome") or attributes).get("multiscales")
    if multiscales:
        return _level_zero(path, node, multiscales[0])
    arrays = {name: array for name, array in node.members(max_depth=None) if isinstance(array, zarr.Array)}
    if len(arrays) != 1:
        found = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:10]) or "none"
        raise DataError(f"{path} holds {len(arrays)} arrays ({found}): name one as {path.name}::name.")
    (array,) = arrays.values()
    return Source(array, _AXES[array.ndim])


def _level_zero(path: Path, group: zarr.Group, multiscale: dict[str, Any]) -> Source:
    level = multiscale["datasets"][0]
    array = group[level["path"]]
    assert isinstance(array, zarr.Array)
    # Version 0.3 lists bare names, 0.1 none at all.
    named = multiscale.get("axes") or list("tczyx")[-array.ndim :]
    described: list[dict[str, Any]] = [axis if isinstance(axis, dict) else {"name": axis} for axis in named]
    letters = [str(axis["name"]).upper() for axis in described]
    time = array.shape[letters.index("T")] if "T" in letters else 1
    if time > 1 or not set(letters) <= set("TCZYX"):
        raise DataError(
            f"{path} has the axes {' '.join(letters)} of {array.shape}: save one volume (c, z, y, x) per file."
        )

    scale = [1.0] * array.ndim
    for step in level.get("coordinateTransformations", []) + multiscale.get("coordinateTransformations", []):
        scale = [a * b for a, b in zip(scale, step.get("scale", [1] * array.ndim), strict=True)]
    sizes = {
        letter: micrometres(size, str(axis.get("unit", "")))
        for letter, size, axis in zip(letters, scale, described, strict=True)
    }
    spacing = [sizes[letter] for letter in "ZYX" if letter in sizes]
    return Source(array, "".join(letters), tuple(size for size in spacing if size) if all(spacing) else None)


def create(path: Path, layout: Layout) -> Sink:
    """Create an OME-Zarr 0.5 image with one level, zstd level 1; each chunk appears whole or not at all."""
    spatial = spatial_axes(len(layout.shape)).lower()
    unit = {} if layout.spacing is None else {"unit": "micrometer"}
    multiscale = {
        "name": path.name.partition(".")[0],
        "axes": [{"name": "c", "type": "channel"}, *({"name": axis, "type": "space"} | unit for axis in spatial)],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1.0, *(layout.spacing or [1.0] * len(spatial))]},
                ],
            }
        ],
    }
    ome = {"version": "0.5", "multiscales": [multiscale]}
    group = zarr.create_group(store=str(path), zarr_format=3, attributes={"ome": ome})
    array = group.create_array(
        "0",
        shape=layout.shape,
        dtype=layout.dtype,
        chunks=(1, *layout.chunks),
        compressors=ZstdCodec(level=1),
        dimension_names=["c", *spatial],
    )
    return Sink(array, "C" + spatial.upper())
