"""The images and the labels of an unpaired training: found and checked, and never of the same place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rockmonai.data.pairs import pairs
from rockmonai.data.regions import Region, place
from rockmonai.data.splits import Records
from rockmonai.errors import DataError, UsageError
from rockmonai.volumes import open_volume


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
    half of its records gives images, the second one labels; a single record is cut in two along its first axis.

    Args:
        dataset_dir: the images: a folder, one scan, or a ``.json`` list (see :func:`rockmonai.data.pairs`).
        label_dir: the labels, likewise; None where they are in ``dataset_dir``.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        scale: how many times smaller a voxel of the labels is than one of the images.
        spatial_dims: 2 or 3; a 2D model takes the slices of volumes.
        patch_size: size of a patch in label voxels, which every scan must hold.
        folders: folder name of either key, by default ``image`` and ``label``.
        holdout: share of a data set without splits that is kept from training.
        nan: ``"refuse"`` voxels that are NaN or infinite, or leave it to a transform to ``"fill"`` them.

    Returns:
        For either key its records, whose file is their ``image``, as :class:`rockmonai.data.UnpairedDataset` wants
        them, with ``name`` and, for a region, ``roi`` in their own voxels.

    Raises:
        DataError: what :func:`rockmonai.data.pairs` refuses, images that are the labels or as fine as these, or too
            little data to divide.
        UsageError: for a split, a holdout or folders that cannot be.
    """
    folders = {"image": "image", "label": "label"} if folders is None else dict(folders)
    if folders.keys() != {"image", "label"}:
        raise UsageError(f"folders names {', '.join(folders) or 'nothing'}; it needs 'image' and 'label'.")
    if label_dir is None:
        return _halves(dataset_dir, split, scale, spatial_dims, patch_size, folders, holdout, nan)
    own = {"image": folders["image"]}
    coarse = image_patch_size(patch_size, scale)
    images = pairs(dataset_dir, split, 1, spatial_dims, coarse, own, holdout, reference="image", nan=nan)
    both = {"image": "image", "label": folders["label"]}  # a plain folder of labels stands in for the images
    labels = pairs(label_dir, split, 1, spatial_dims, patch_size, both, holdout, nan=nan)
    return {"image": images, "label": [_alone(record, "label", record.get("roi")) for record in labels]}


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
    return {
        "image": [_alone(record, "image", _in_image_voxels(record, scale)) for record in first],
        "label": [_alone(record, "label", record.get("roi")) for record in second],
    }


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


def _alone(record: Mapping[str, Any], key: str, region: Region | None) -> dict[str, Any]:
    """Return the record of one of the files, as the ``image`` of a data set of its own."""
    return {"name": record["name"], "image": record[key], **({} if region is None else {"roi": region})}
