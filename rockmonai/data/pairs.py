"""The pairs a model learns from: found, matched and checked before anything runs."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rockmonai.data.layouts import find_records
from rockmonai.data.regions import by_slice, place
from rockmonai.errors import DataError, UsageError, did_you_mean
from rockmonai.volumes import Volume, check_finite, open_volume
from rockmonai.volumes.blocks import in_words
from rockmonai.volumes.colour import Grey, grey_of

logger = logging.getLogger("rockmonai")


def pairs(
    dataset_dir: str | Path,
    split: str = "train",
    scale: int = 1,
    spatial_dims: int = 2,
    patch_size: int | Sequence[int] | None = None,
    folders: Mapping[str, str] | None = None,
    holdout: float | None = 0.25,
    masks: Mapping[str, str] | None = None,
    reference: str = "label",
    grey: Grey | Mapping[Hashable, Grey] = "strict",
    info_bar: int = 0,
    fold: int | None = None,
    nan: str = "refuse",
    degraded: bool = True,
) -> list[dict[str, Any]]:
    """Return the records of one split, each a mapping of key to path, after checking every file.

    Args:
        dataset_dir: a folder, one image or volume, or a ``.json`` list (see :func:`rockmonai.data.find_records`).
        split: ``"train"``, ``"validation"`` or ``"test"``.
        scale: the label has ``scale`` times as many voxels per axis as the image. A pair of equal size passes as well,
            and so does a label without an image: the degradation then makes the image from it.
        spatial_dims: 2 or 3; a 2D model takes the slices of volumes.
        patch_size: size of a patch in label voxels, which every label must hold; ``None`` for whole images, of which
            every slice of a volume is one if the model is 2D.
        folders: folder name of each key, by default ``image`` and ``label``.
        holdout: share of a data set without splits that is kept from training; None for all of it in every split.
        masks: folder name of each further key that a data set may have or lack, such as ``charge``.
        reference: key whose voxels sizes, regions and patches are counted in; ``"image"`` where the label is yet to be
            made of masks, which are then keys of ``folders`` (see :class:`rockmonai.transforms.MasksToClassesd`).
        grey: what becomes of colours, as :class:`rockmonai.transforms.OpenVolumed` is told: one word, or one for each
            key. Where it is ``"keep"``, three channels pass as well as one.
        info_bar: rows at the bottom of every image or slice that are not looked at.
        fold: number of the image that is left out, counted from 0 through the training, validation and test images: it
            is the validation and the test split, all others train. Nothing may then be selected by the validation
            score, neither a checkpoint nor a learning rate: it is the score of the test. ``None`` for the given splits.
        nan: ``"refuse"`` voxels that are NaN or infinite, or leave it to a transform to ``"fill"`` them.
        degraded: whether a degradation makes the images that are missing, or as large as their labels; where none does,
            as in the evaluation of an unpaired training, these are refused.

    Returns:
        Records with the keys of ``folders``, those of the ``masks`` that are there, ``name``, and ``roi``
        ([[start, stop], ...] in label voxels) for a region.

    Raises:
        DataError: for the first thing that would spoil a training: no files, a missing partner, sizes or dtypes that do
            not fit, several channels, a region outside its volume or smaller than the patch, NaN voxels, an info bar
            as high as the image, a fold that there is not, an image that is missing and not to be ``degraded``.
        UsageError: for a split, a holdout, folders or a ``nan`` that cannot be.
    """
    folders = {"image": "image", "label": "label"} if folders is None else dict(folders)
    needed = dict.fromkeys(("image", reference))
    if nan not in ("refuse", "fill"):
        raise UsageError(f"nan is {nan!r}; use 'refuse' or 'fill'{did_you_mean(nan, ('refuse', 'fill'))}.")
    if not needed.keys() <= folders.keys():
        both = " and ".join(f"'{key}'" for key in needed)
        raise UsageError(f"folders names {', '.join(folders) or 'nothing'}; it needs {both}.")
    records: list[dict[str, Any]] = []
    first: dict[str, tuple[np.dtype, str]] = {}
    finite: set[tuple[str, Grey]] = set()
    wanted = folders | dict(masks or {})
    found = find_records(str(dataset_dir), split, wanted, holdout, spatial_dims, masks or (), fold)
    equal = 0
    for record in found:
        seen = {key: (record[key], grey_of(grey, key)) for key in wanted if key in record}
        opened = {(path, word): open_volume(path, grey=word) for path, word in dict.fromkeys(seen.values())}
        label = opened[seen[reference]]
        _check_dims(label, spatial_dims)
        record = place(record, label.spatial_shape, split, scale, spatial_dims, patch_size, reference, info_bar)
        for key, (_, word) in seen.items():
            volume = opened[seen[key]]
            _check_size(record["name"], key, volume, reference, label, scale, spatial_dims)
            _check_grey(record["name"], key, volume, first, (1, 3) if word == "keep" else (1,))
        alike = opened[seen["image"]].spatial_shape == label.spatial_shape
        if alike and not degraded and (scale > 1 or record["image"] == record[reference]):
            missing = "label of its own" if scale == 1 else f"label {scale} times as fine"
            raise DataError(
                f"{record['image']} has no {missing}: an evaluation needs pairs; for scans without a truth read the "
                "guards that inference writes."
            )
        for way, volume in opened.items():
            if nan == "refuse" and way not in finite:
                check_finite(volume)
            volume.close()
        finite |= opened.keys()
        equal += alike
        slicewise = patch_size is None and label.spatial_dims > spatial_dims
        records += by_slice(record, label.spatial_shape) if slicewise else [record]
    if scale > 1 and equal:
        notice = "%s: %d of %d images are as large as their labels: the low-resolution side is made by the degradation"
        logger.info(notice, split, equal, len(found))
    return records


def _check_dims(label: Volume, spatial_dims: int) -> None:
    if label.spatial_dims < spatial_dims:
        raise DataError(
            f"{label.path} is one slice of {in_words(label.spatial_shape)} pixels, but the model is 3D; "
            "give it a volume: one file, or the slices of one volume in a folder of their own."
        )


def _check_size(
    name: str, key: str, volume: Volume, reference: str, label: Volume, scale: int, spatial_dims: int
) -> None:
    if volume.spatial_dims != label.spatial_dims:
        raise DataError(
            f"{volume.path} has {volume.spatial_dims} axes and its {reference} {label.path} {label.spatial_dims}."
        )
    # Slices of a volume for a 2D model are finer within their plane alone.
    finer = (*volume.spatial_shape[:-spatial_dims], *(size * scale for size in volume.spatial_shape[-spatial_dims:]))
    if label.spatial_shape not in (finer, volume.spatial_shape):
        raise DataError(
            f"'{name}': the {reference} of {in_words(label.spatial_shape)} is not {scale} times the {key} of "
            f"{in_words(volume.spatial_shape)}; crop the {reference} to {in_words(finer)} or pass another --scale."
        )


def _check_grey(
    name: str, key: str, volume: Volume, first: dict[str, tuple[np.dtype, str]], channels: tuple[int, ...]
) -> None:
    if key in ("image", "label") and volume.channels not in channels:
        raise DataError(f"{volume.path} has {volume.channels} channels, the model expects 1; give it one channel.")
    dtype, its_name = first.setdefault(key, (volume.dtype, name))
    if volume.dtype != dtype:
        raise DataError(
            f"{volume.path} is {volume.dtype}, while '{its_name}' is {dtype}: "
            "their grey levels cannot mean the same; convert one of them."
        )
