"""Zarr arrays and OME-Zarr images (v2 and v3), read at full resolution; OME-Zarr 0.5 written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zarr
from zarr.codecs import ZstdCodec

from rockmonai.errors import DataError
from rockmonai.volumes.indexing import spatial_axes
from rockmonai.volumes.source import CHUNK, Layout, Sink, Source
from rockmonai.volumes.units import micrometres

_AXES = {2: "YX", 3: "ZYX", 4: "CZYX"}
# Shards are not cut into chunks that are shorter than this.
_LEAST_CHUNK = 16


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
    """Create an OME-Zarr 0.5 image with one level, zstd level 1; each chunk appears whole or not at all.

    Large pieces become shards: files of many chunks, each of which can be read alone. Write a shard in one go, and
    from one process: Zarr reads and rewrites the whole of it otherwise, and two writers lose each other's chunks.
    """
    spatial = spatial_axes(len(layout.shape))
    about = {"ome": multiscales(path, layout.spacing, [(1,) * len(spatial)])}
    group = zarr.create_group(store=str(path), zarr_format=3, attributes=about)
    return Sink(create_level(group, "0", layout), "C" + spatial)


def create_level(group: zarr.Group, name: str, layout: Layout) -> zarr.Array[Any]:
    """Create the array of one resolution, its shards or chunks as large as the pieces of ``layout``."""
    axes = spatial_axes(len(layout.shape))
    parts = [
        _shard_and_chunk(*lengths, CHUNK[len(axes)]) for lengths in zip(layout.chunks, layout.shape[1:], strict=True)
    ]
    shards, chunks = ((1, *lengths) for lengths in zip(*parts, strict=True))
    return group.create_array(
        name,
        shape=layout.shape,
        dtype=layout.dtype,
        chunks=chunks,
        shards=None if shards == chunks else shards,
        compressors=ZstdCodec(level=1),
        dimension_names=["c", *axes.lower()],
        overwrite=True,
    )


def _shard_and_chunk(piece: int, size: int, most: int) -> tuple[int, int]:
    """Return the lengths of a shard and of its chunks along one axis, equal where a shard would not help."""
    if piece <= most:
        return piece, piece
    if piece >= size:
        return math.ceil(size / most) * most, most
    chunk = max(length for length in range(1, most + 1) if piece % length == 0)
    return piece, chunk if chunk >= _LEAST_CHUNK else piece


def multiscales(path: Path, spacing: tuple[float, ...] | None, factors: Sequence[tuple[int, ...]]) -> dict[str, Any]:
    """Return the metadata of an image whose levels are coarser by these factors along (z,) y, x.

    A voxel that is the mean of several lies at their centre: the origin moves by half of what the voxels have grown.
    """
    axes = spatial_axes(len(factors[0]) + 1).lower()
    unit = {} if spacing is None else {"unit": "micrometer"}
    datasets = []
    for name, level in enumerate(factors):
        lengths = spacing or (1.0,) * len(axes)
        scale = [factor * length for factor, length in zip(level, lengths, strict=True)]
        shift = [(factor - 1) / 2 * length for factor, length in zip(level, lengths, strict=True)]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": [1.0, *scale]}]
        if any(shift):
            steps.append({"type": "translation", "translation": [0.0, *shift]})
        datasets.append({"path": str(name), "coordinateTransformations": steps})
    image = {
        "name": path.name.partition(".")[0],
        "axes": [{"name": "c", "type": "channel"}, *({"name": axis, "type": "space"} | unit for axis in axes)],
        "datasets": datasets,
    }
    return {"version": "0.5", "multiscales": [image]}
