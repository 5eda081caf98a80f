"""Parts of one volume: the share of a split, a listed region, what is above an info bar, the slices of a 2D model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rockmonai.errors import DataError
from rockmonai.volumes import Volume
from rockmonai.volumes.blocks import in_words

Region = list[list[int]]


def place(
    record: dict[str, Any],
    shape: Sequence[int],
    split: str,
    scale: int,
    spatial_dims: int,
    patch_size: int | Sequence[int] | None,
    reference: str = "label",
    info_bar: int = 0,
) -> dict[str, Any]:
    """Return the record with its ``share`` turned into a ``roi`` above the info bar, checked to hold a patch.

    Args:
        record: with its file under ``reference``, and a ``share``, a ``roi`` or neither.
        shape: spatial shape of the reference.
        split: what the part is for.
        scale: voxels of the label along one side of a voxel of the image.
        spatial_dims: 2 or 3, as the model has them; a 2D patch of a volume is one slice thick.
        patch_size: length of a patch in voxels of the reference; ``None`` asks for a single voxel.
        reference: key with the finest voxels.
        info_bar: rows at the bottom of each image that belong to no region (see :func:`above_bar`).

    Raises:
        DataError: the region is not inside the volume, or smaller than the patch.
    """
    record, what, more = dict(record), record[reference], ""
    above = above_bar(shape, info_bar, what)
    if "share" in record:
        record["roi"] = cut_share(above, record.pop("share"), scale)
        what, more = f"The {split} part of {what}", " or --holdout" if split == "train" else " or a larger --holdout"
    elif "roi" in record:
        check_region(record["roi"], shape, what)
        record["roi"] = [
            [start, max(start, min(stop, n))] for (start, stop), n in zip(record["roi"], above, strict=True)
        ]
        what = f"The roi of {what}"
    elif above != tuple(shape):
        record["roi"] = _whole(above)
    extent = [stop - start for start, stop in record.get("roi") or _whole(shape)]
    patch = tuple(patch_size) if isinstance(patch_size, Sequence) else (patch_size or 1,) * spatial_dims
    needed = (1,) * (len(extent) - len(patch)) + patch
    if any(have < need for have, need in zip(extent, needed, strict=True)):
        raise DataError(
            f"{what} is {in_words(extent)}, smaller than a patch of {in_words(patch)}; pass a smaller "
            f"--patch_size{more}."
        )
    return record


def above_bar(shape: Sequence[int], info_bar: int, name: str) -> tuple[int, ...]:
    """Return the shape of what lies above the bar that a microscope writes its settings into.

    Args:
        shape: spatial shape.
        info_bar: height of the bar at the bottom of an image, or of each slice of a volume, in rows.
        name: the file, for the message.

    Raises:
        DataError: nothing would be left.
    """
    *slices, rows, columns = shape
    if not 0 <= info_bar < rows:
        raise DataError(
            f"{name} has {rows} rows, of which an info bar of {info_bar} leaves no image; pass the height of its "
            "bar as --info_bar, 0 for none."
        )
    return (*slices, rows - info_bar, columns)


def cut_share(shape: Sequence[int], share: tuple[float, float], scale: int) -> Region:
    """Return the region ``[[start, stop], ...]`` of a share along the first axis: rows of an image, slices of a volume.

    Its borders are multiples of ``scale``, so that neighbours do not have a coarse voxel in common.

    Args:
        shape: spatial shape.
        share: where it begins and ends, from 0 to 1.
        scale: voxels of the label along one side of a voxel of the image.
    """
    start, stop = (shape[0] if part == 1 else round(shape[0] * part) // scale * scale for part in share)
    return [[start, stop], *_whole(shape[1:])]


def check_region(region: Any, shape: Sequence[int], name: str) -> None:
    """Refuse a region that is not inside a volume of this spatial shape.

    Raises:
        DataError: there is not one ``[start, stop]`` of whole numbers with ``0 <= start < stop <= size`` for each axis.
    """
    try:
        inside = all(
            isinstance(start, int) and isinstance(stop, int) and 0 <= start < stop <= size
            for (start, stop), size in zip(region, shape, strict=True)
        )
    except (TypeError, ValueError):  # no list, no pairs, or another number of axes
        inside = False
    if not inside:
        raise DataError(
            f"The region {region} does not fit {name} of {in_words(shape)} voxels; "
            "give every axis its [start, stop] with 0 <= start < stop <= size."
        )


def overlap(one: Region | None, other: Region | None) -> bool:
    """Tell whether two regions of a volume, of which None is all of it, have a voxel in common."""
    if one is None or other is None:
        return True
    return all(max(a, c) < min(b, d) for (a, b), (c, d) in zip(one, other, strict=True))


def by_slice(record: dict[str, Any], shape: Sequence[int]) -> list[dict[str, Any]]:
    """Return one record for each slice of a volume's record, within its ``roi`` if it has one.

    Args:
        record: with a ``name``, to which the number of the slice is added.
        shape: (Z, Y, X) of the label.
    """
    (start, stop), *plane = record.get("roi") or _whole(shape)
    return [{**record, "name": f"{record['name']}_z{z:04d}", "roi": [[z, z + 1], *plane]} for z in range(start, stop)]


class Cropped:
    """A volume (C, [Z,] Y, X) of which only a region ``[[start, stop], ...]`` is there; slicing reads what is asked."""

    def __init__(self, volume: Volume, region: Region) -> None:
        self.path, self.dtype = volume.path, volume.dtype
        self.shape = (volume.channels, *(stop - start for start, stop in region))
        self._volume, self._region = volume, region

    def __getitem__(self, index: slice | tuple[slice, ...], /) -> np.ndarray:
        given = index if isinstance(index, tuple) else (index,)
        channel, *box = (*given, *[slice(None)] * (len(self.shape) - len(given)))
        inside = [part.indices(n) for part, n in zip(box, self.shape[1:], strict=True)]
        first = [start for start, _ in self._region]
        return self._volume[(channel, *(slice(a + at, b + at) for (a, b, _), at in zip(inside, first, strict=True)))]


def _whole(shape: Sequence[int]) -> Region:
    return [[0, size] for size in shape]
