"""The images and the labels of an unpaired training: found and checked, and never of the same place."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from rockmonai.data.pairs import pairs
from rockmonai.data.regions import Region, overlap, place
from rockmonai.data.splits import Records
from rockmonai.errors import DataError, UsageError
from rockmonai.volumes import open_volume

logger = logging.getLogger("rockmonai")

# Voxel sizes are stated to a few digits.
_ROUNDED = 0.01


def domains(
    dataset_dir: str | Path,
    label_dir: str | Path | None = None,
    split: str = "train",
    scale: int = 1,
    spatial_dims: int = 3,
    patch_size: int | Sequence[int] | None = None,
    folders: Mapping[str, str] | None = None,
    holdout: float = 0.25,
    nan: str = "refuse",
) -> dict[str, Records]:
    """Return the records of one split for both domains, ``image`` and ``label``, after checking every file.

    With a ``label_dir`` all scans of either data set are taken: nobody knows whether they show the same place, and it
    does not matter. Without, one data set holds both, in pairs, and no place of it may be seen in both ways: the first
    half of its records gives images, the second one labels; a single record is cut in two along its first axis. Voxel
    sizes that are known and do not differ by ``scale`` are warned of.

    Args:
        dataset_dir: the images: a folder, one scan, or a ``.json`` list (see :func:`rockmonai.data.pairs`).
        label_dir: the labels, likewise; None where they are in ``dataset_dir``.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        scale: how many times smaller a voxel of the labels is than one of the images.
        spatial_dims: 2 or 3; a 2D model takes the slices of volumes.
        patch_size: size of a patch in label voxels, which every scan must hold.
        folders: folder name of either key, by default ``image`` and ``label``.
        holdout: share of a data set without splits that is kept from training; of a ``label_dir`` without splits, whose
            scans only train, nothing is.
        nan: ``"refuse"`` voxels that are NaN or infinite, or leave it to a transform to ``"fill"`` them.

    Returns:
        For either key its records, whose file is their ``image``, as :class:`rockmonai.data.UnpairedDataset` wants
        them, with ``name`` and, for a region, ``roi`` in their own voxels.

    Raises:
        DataError: what :func:`rockmonai.data.pairs` refuses, images that are the labels or as fine as these, a place
            that would be in both domains, or too little data to divide.
        UsageError: for a split, a holdout or folders that cannot be.
    """
    folders = {"image": "image", "label": "label"} if folders is None else dict(folders)
    if folders.keys() != {"image", "label"}:
        raise UsageError(f"folders names {', '.join(folders) or 'nothing'}; it needs 'image' and 'label'.")
    if label_dir is None:
        found = _halves(dataset_dir, split, scale, spatial_dims, patch_size, folders, holdout, nan)
    else:
        own = {"image": folders["image"]}
        coarse = image_patch_size(patch_size, scale)
        images = pairs(dataset_dir, split, 1, spatial_dims, coarse, own, holdout, reference="image", nan=nan)
        both = {"image": "image", "label": folders["label"]}  # a plain folder of labels stands in for the images
        labels = [*map(_label, pairs(label_dir, split, 1, spatial_dims, patch_size, both, None, nan=nan))]
        _check_apart(images, labels)
        found = {"image": images, "label": labels}
    _check_spacing(found, scale, spatial_dims)
    return found


def image_patch_size(patch_size: int | Sequence[int] | None, scale: int = 1) -> int | list[int] | None:
    """Return the size of a patch in image voxels from that in label voxels, which are ``scale`` times smaller."""
    if patch_size is None or isinstance(patch_size, int):
        return patch_size and patch_size // scale
    return [size // scale for size in patch_size]


def _halves(
    dataset_dir: str | Path,
    split: str,
    scale: int,
    spatial_dims: int,
    patch_size: int | Sequence[int] | None,
    folders: Mapping[str, str],
    holdout: float,
    nan: str,
) -> dict[str, Records]:
    """Return images and labels of different places of a data set of pairs."""
    records = pairs(dataset_dir, split, scale, spatial_dims, patch_size, folders, holdout, nan=nan)
    middle = (len(records) + 1) // 2
    first, second = records[:middle], records[middle:]
    if not second:
        shape = open_volume(records[0]["label"]).spatial_shape
        cut = _cut_in_two(records[0].get("roi") or [[0, size] for size in shape], scale)
        first, second = (
            [place({**records[0], "roi": part}, shape, split, scale, spatial_dims, patch_size)] for part in cut
        )
    images = [_alone(record, "image", _in_image_voxels(record, scale)) for record in first]
    labels = [*map(_label, second)]
    _check_apart([*map(_label, first)], labels)
    return {"image": images, "label": labels}


def _cut_in_two(region: Region, scale: int) -> tuple[Region, Region]:
    (start, stop), *others = region
    middle = start + (stop - start) // 2 // scale * scale
    return [[start, middle], *others], [[middle, stop], *others]


def _in_image_voxels(record: Mapping[str, Any], scale: int) -> Region | None:
    """Return the region of a record, whose numbers are those of its label, in voxels of its image."""
    image, label = (open_volume(record[key]).spatial_shape for key in ("image", "label"))
    if record["image"] == record["label"] or (scale > 1 and image == label):
        raise DataError(
            f"{record['image']} is {'an image and a label' if scale == 1 else 'as fine as its label'}: pass scans of "
            "the one kind as --dataset_dir and those of the other kind as --label_dir."
        )
    region = record.get("roi")
    if region is None:
        return None
    return [[a * n // whole, b * n // whole] for (a, b), n, whole in zip(region, image, label, strict=True)]


def _check_apart(images: Records, labels: Records) -> None:
    """Refuse a place that would be in both domains."""
    taken = defaultdict(list)
    for label in labels:
        taken[Path(label["image"]).resolve()].append(label.get("roi"))
    for image in images:
        if any(overlap(image.get("roi"), region) for region in taken[Path(image["image"]).resolve()]):
            raise DataError(
                f"A place of {image['image']} would be an image and a label: give regions that do not overlap, or pass "
                "scans of the one kind as --dataset_dir and those of the other kind as --label_dir."
            )


def _check_spacing(found: Mapping[str, Records], scale: int, spatial_dims: int) -> None:
    """Warn of the first scans whose stated voxels do not differ by the scale."""
    known: dict[str, dict[tuple[float, ...], str]] = {"image": {}, "label": {}}
    for key, records in found.items():
        for path in dict.fromkeys(record["image"] for record in records):
            spacing = open_volume(path).spacing
            if spacing is not None:
                known[key].setdefault(spacing[-spatial_dims:], path)
    for (coarse, image), (fine, label) in product(*(known[key].items() for key in ("image", "label"))):
        if not all(math.isclose(a, scale * b, rel_tol=_ROUNDED) for a, b in zip(coarse, fine, strict=True)):
            notice = (
                "%s has voxels of %s µm and %s of %s µm, but the scale is %d: pass another --scale, or mend their files"
            )
            logger.warning(notice, image, _sizes(coarse), label, _sizes(fine), scale)
            return


def _sizes(spacing: Sequence[float]) -> str:
    return " x ".join(f"{size:.4g}" for size in spacing)


def _label(record: Mapping[str, Any]) -> dict[str, Any]:
    return _alone(record, "label", record.get("roi"))


def _alone(record: Mapping[str, Any], key: str, region: Region | None) -> dict[str, Any]:
    """Return the record of one of the files, as the ``image`` of a data set of its own."""
    return {"name": record["name"], "image": record[key], **({} if region is None else {"roi": region})}
