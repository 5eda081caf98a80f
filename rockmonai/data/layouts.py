"""How data sets lie on disk: from a path to the records of one split."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rockmonai.data.matching import contents, match
from rockmonai.data.record_lists import read_list
from rockmonai.data.splits import SPLITS, check_split, hold_out
from rockmonai.errors import DataError
from rockmonai.volumes import list_scans, open_volume, stem_of


def find_records(
    dataset_dir: str,
    split: str,
    folders: Mapping[str, str],
    holdout: float,
    spatial_dims: int,
    optional: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Return the records of one split: a path for every key of ``folders``, and a ``name``.

    Layouts, in this order: a ``.json`` list; one image or volume; DeepRock-SR (``<rock>_train_HR`` beside
    ``<rock>_train_LR_default_X4``); ``<split>/<folder>/*``; for a 3D model, a folder of single slices, which is one
    volume; ``<folder>/*`` or plain images. Where a folder holds no files, its sub-folders of slices are its volumes.
    Where only the label's images exist, the label stands in for the image: training then degrades it.

    Args:
        dataset_dir: a folder, a file or ``file::dataset``.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        folders: folder of each key, relative to its split; ``label`` is the key of the high-quality images.
        holdout: share of an unsplit data set that is kept from training (see :func:`rockmonai.data.splits.hold_out`).
        spatial_dims: 2 or 3, as the model has them.
        optional: keys that the data set may lack; its records then lack them, too.

    Returns:
        The records. One of which the split uses a region has a ``roi`` or a ``share``.

    Raises:
        DataError: if nothing is found, or an image has no partner.
        UsageError: if the split or the share does not exist.
    """
    check_split(split, holdout)
    root = Path(dataset_dir.partition("::")[0])
    if not root.exists():
        raise DataError(f"There is no data set {root}; pass --dataset_dir with a folder, a volume or a .json list.")
    if root.suffix == ".json":
        return read_list(root, split, folders, optional)
    if not root.is_dir() or root.suffix == ".zarr":
        return hold_out([_single(dataset_dir, folders, optional)], split, holdout)
    deeprock = sorted(found for name in SPLITS[split] for found in root.glob(f"*_{name}_HR"))
    if deeprock:
        return [record for hr in deeprock for record in _from_deeprock(hr, folders)]
    for name in SPLITS[split]:
        if (root / name).is_dir():
            return match(_present(root / name, folders, optional))
    if any((root / name).is_dir() for names in SPLITS.values() for name in names):
        raise DataError(f"{root} has no folder '{split}'; it holds {contents(root)}.")
    if spatial_dims == 3 and _holds_slices(root):
        return hold_out([_single(dataset_dir, folders, optional)], split, holdout)
    return hold_out(match(_present(root, folders, optional)), split, holdout)


def _single(path: str, folders: Mapping[str, str], optional: Collection[str]) -> dict[str, Any]:
    """Return the record of one volume, which is the label and the image."""
    needed = [key for key in folders if key not in optional]
    others = [key for key in needed if key not in ("image", "label")]
    if others:
        raise DataError(f"{path} is a single scan without '{others[0]}'; give a folder, or a .json list of both.")
    return {"name": stem_of(path), **dict.fromkeys(needed, path)}


def _holds_slices(folder: Path) -> bool:
    files = list_scans(folder)
    return len(files) > 1 and open_volume(files[0]).spatial_dims == 2


def _present(parent: Path, folders: Mapping[str, str], optional: Collection[str]) -> dict[str, Path]:
    """Return the folder of each key that has one; the label's own for an image whose folder was not named."""
    found = {key: parent / name for key, name in folders.items() if (parent / name).is_dir()}
    if not found and list_scans(parent):
        found = {"label": parent}
    needed = {key: name for key, name in folders.items() if key in found or key not in optional}
    for key, name in needed.items():
        stands_in = key == "image" and name == "image" and "label" in found
        if key not in found and not stands_in:
            raise DataError(
                f"{parent} has no folder '{name}' for '{key}'; it holds {contents(parent)}; "
                "name its folders with --folders."
            )
    return {key: found[key if key in found else "label"] for key in needed}


def _from_deeprock(hr: Path, folders: Mapping[str, str]) -> list[dict[str, Any]]:
    low = sorted(hr.parent.glob(hr.name.removesuffix("HR") + f"LR_{folders['image']}"))
    if not low:
        found = ", ".join(path.name for path in sorted(hr.parent.glob(hr.name.removesuffix("HR") + "LR_*")))
        raise DataError(
            f"{hr} has no partner '..._LR_{folders['image']}' (found: {found or 'none'}); choose one with "
            "--folders \"{'image': 'default_X4', 'label': 'HR'}\"."
        )
    return [
        {**record, "name": f"{hr.name.split('_')[0]}_{record['name']}"}
        for record in match({"image": low[0], "label": hr})
    ]
