"""The pairs a model learns from: found, matched and checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rockmonai.data.layouts import find_records
from rockmonai.errors import DataError
from rockmonai.volumes import Volume, check_finite, open_volume


def pairs(
    dataset_dir: str,
    split: str = "train",
    scale: int = 1,
    spatial_dims: int = 2,
    patch_size: int | Sequence[int] | None = None,
    folders: Mapping[str, str] | None = None,
    holdout: float = 0.25,
) -> list[dict[str, Any]]:
    """Return the records of one split, each a mapping of key to path, after checking every file.

    Args:
        dataset_dir: a folder, one image or volume, or a ``.json`` list (see :func:`rockmonai.data.find_records`).
        split: ``"train"``, ``"validation"`` or ``"test"``.
        scale: the label has ``scale`` times as many voxels per axis as the image. A pair of equal size passes as well,
            and so does a label without an image: the degradation then makes the image from it.
        spatial_dims: 2 or 3; a 2D model takes the slices of volumes.
        patch_size: size of a patch in label voxels, which every label must hold.
        folders: folder name of each key, by default ``image`` and ``label``.
        holdout: share of a data set without splits that is kept from training.

    Returns:
        Records with the keys of ``folders``, ``name``, and ``roi`` ([[start, stop], ...] in label voxels) for a region.

    Raises:
        DataError: for the first thing that would spoil a training: no files, a missing partner, sizes or dtypes that do
            not fit, a volume smaller than the patch, NaN voxels.
    """
    folders = {"image": "image", "label": "label"} if folders is None else dict(folders)
    records = find_records(Path(dataset_dir), split, folders, holdout)
    dtypes: dict[str, tuple[Any, str]] = {}
    for record in records:
        volumes = {key: open_volume(record[key]) for key in folders}
        if "holdout" in record:
            kept_for, share = record.pop("holdout")
            record["roi"] = region(volumes["label"], kept_for, share, patch_size, scale)
        _check_label(record, volumes["label"], spatial_dims, patch_size)
        for key, volume in volumes.items():
            _check_against_label(record, key, volume, volumes["label"], scale)
            first = dtypes.setdefault(key, (volume.dtype, record["name"]))
            if first[0] != volume.dtype:
                raise DataError(
                    f"{record[key]} is {volume.dtype}, while '{first[1]}' is {first[0]}: "
                    "their grey levels cannot mean the same; convert one of them."
                )
            check_finite(volume)
    return records


def region(
    volume: Volume, split: str, holdout: float, patch_size: int | Sequence[int] | None, scale: int
) -> list[list[int]]:
    """Return the part of a single volume that one split may use, cut along its first axis.

    The last ``holdout`` is kept from training; its first half validates and its second half tests, unless a half is too
    thin for a patch: then both use all of it.
    """
    shape = volume.spatial_shape
    needed = _sizes(patch_size, volume.spatial_dims)[0]
    start = round(shape[0] * (1 - holdout)) // scale * scale
    middle = (start + shape[0]) // 2 // scale * scale
    if min(middle - start, shape[0] - middle) < needed:
        validation = test = (start, shape[0])
    else:
        validation, test = (start, middle), (middle, shape[0])
    first = {"train": (0, start), "validation": validation, "test": test}[split]
    return [list(first), *([0, size] for size in shape[1:])]


def _check_label(record: Mapping, label: Volume, spatial_dims: int, patch_size: int | Sequence[int] | None) -> None:
    if label.spatial_dims < spatial_dims:
        raise DataError(
            f"{record['label']} is one slice of {_by(label)} pixels, but the model is 3D; give it a volume."
        )
    extent = [stop - start for start, stop in record["roi"]] if "roi" in record else label.spatial_shape
    needed = _sizes(patch_size, spatial_dims)
    if any(have < need for have, need in zip(extent[-spatial_dims:], needed, strict=True)):
        where = "region" if "roi" in record else "image" if label.spatial_dims == 2 else "volume"
        raise DataError(
            f"{record['label']} has a {where} of {'x'.join(map(str, extent))}, smaller than a patch of "
            f"{'x'.join(map(str, needed))}; pass a smaller --patch_size."
        )


def _check_against_label(record: Mapping, key: str, volume: Volume, label: Volume, scale: int) -> None:
    if volume.spatial_dims != label.spatial_dims:
        raise DataError(
            f"{record[key]} has {volume.spatial_dims} axes and its label {record['label']} {label.spatial_dims}."
        )
    finer = tuple(size * scale for size in volume.spatial_shape)
    slicewise = volume.spatial_shape[:-2] + finer[-2:]
    if label.spatial_shape not in (finer, slicewise, volume.spatial_shape):
        raise DataError(
            f"'{record['name']}': the label of {_by(label)} is not {scale} times the {key} of {_by(volume)}; "
            f"crop the label to {'x'.join(map(str, finer))} or pass another --scale."
        )


def _sizes(patch_size: int | Sequence[int] | None, spatial_dims: int) -> tuple[int, ...]:
    if patch_size is None or isinstance(patch_size, int):
        return (patch_size or 1,) * spatial_dims
    return (1,) * (spatial_dims - len(patch_size)) + tuple(patch_size)


def _by(volume: Volume) -> str:
    return "x".join(map(str, volume.spatial_shape))
