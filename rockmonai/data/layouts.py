"""How data sets lie on disk: from a path to the records of one split."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rockmonai.data.matching import contents, match
from rockmonai.data.record_lists import listed_splits, read_list
from rockmonai.data.splits import SPLITS, Records, check_split, hold_out, leave_one_out
from rockmonai.errors import DataError
from rockmonai.volumes import list_scans, open_volume, stem_of


def find_records(
    dataset_dir: str,
    split: str,
    folders: Mapping[str, str],
    holdout: float | None,
    spatial_dims: int,
    optional: Collection[str] = (),
    fold: int | None = None,
) -> Records:
    """Return the records of one split: a path for every key of ``folders``, and a ``name``.

    Layouts, in this order: a ``.json`` list; one image or volume; DeepRock-SR (``<rock>_train_HR`` beside
    ``<rock>_train_LR_default_X4``, here or in a folder for each rock; those of all rocks shuffled only where there are
    no others); ``<split>/<folder>/*``; for a 3D model, a folder of single slices, which is one
    volume; ``<folder>/*`` or plain images. Where a folder holds no files, its sub-folders of slices are its volumes.
    Where only the label's images exist, the label stands in for the image: training then degrades it. A data set that
    has images to train on, but none to validate on, keeps the last of them from training.

    Args:
        dataset_dir: a folder, a file or ``file::dataset``.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        folders: folder of each key, relative to its split; ``label`` is the key of the high-quality images.
        holdout: share that is kept from training for splits that the data set does not have (see
            :func:`rockmonai.data.splits.hold_out`).
        spatial_dims: 2 or 3, as the model has them.
        optional: keys that the data set may lack; its records then lack them, too.
        fold: number of the record that validates and tests, while all others of all splits train; ``None`` for the
            splits as they are (see :func:`rockmonai.data.splits.leave_one_out`).

    Returns:
        The records. One of which the split uses a region has a ``roi`` or a ``share``.

    Raises:
        DataError: if nothing is found, an image has no partner, or there is no such fold.
        UsageError: if the split or the share does not exist.
    """
    check_split(split, holdout)
    root = Path(dataset_dir.partition("::")[0])
    if not root.exists():
        raise DataError(f"There is no data set {root}; pass --dataset_dir with a folder, a volume or a .json list.")
    parts = _parts(root, folders, optional)
    if fold is not None:
        given = {name: part() for name, part in parts.items()}
        return leave_one_out(given or {"": _unsplit(dataset_dir, folders, spatial_dims, optional)}, split, fold)
    if root.suffix == ".json":
        return read_list(root, split, folders, optional)
    if not parts:
        return hold_out(_unsplit(dataset_dir, folders, spatial_dims, optional), split, holdout)
    missing = [name for name in SPLITS if name not in parts]
    if "validation" in missing and "train" in parts and split in ("train", *missing):
        return hold_out(parts["train"](), split, holdout, missing)
    if split in missing:
        raise DataError(f"{root} has no folder '{split}'; it holds {contents(root)}.")
    return parts[split]()


def _parts(root: Path, folders: Mapping[str, str], optional: Collection[str]) -> dict[str, Callable[[], Records]]:
    """Return, for each split that a data set has, what finds its records."""
    if root.suffix == ".json":
        return {name: partial(read_list, root, name, folders, optional) for name in listed_splits(root)}
    parts: dict[str, Callable[[], Records]] = {}
    for name, words in SPLITS.items() if root.suffix != ".zarr" else ():
        deeprock = _deeprock_folders(root, words)
        own = [root / word for word in words if (root / word).is_dir()]
        if deeprock:
            parts[name] = partial(_from_deeprock, deeprock, folders)
        elif own:
            parts[name] = partial(_from_folder, own[0], folders, optional)
    return parts


def _deeprock_folders(root: Path, words: Collection[str]) -> list[Path]:
    """Return the folders of a split's fine scans, here or one level below; shuffled rocks only if they are alone."""
    found = sorted(path for word in words for depth in ("", "*/") for path in root.glob(f"{depth}*_{word}_HR"))
    return [path for path in found if not path.name.startswith("shuffled")] or found


def _unsplit(dataset_dir: str, folders: Mapping[str, str], spatial_dims: int, optional: Collection[str]) -> Records:
    """Return all records of a data set without splits."""
    root = Path(dataset_dir.partition("::")[0])
    if not root.is_dir() or root.suffix == ".zarr" or (spatial_dims == 3 and _holds_slices(root)):
        return [_single(dataset_dir, folders, optional)]
    return _from_folder(root, folders, optional)


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


def _from_folder(parent: Path, folders: Mapping[str, str], optional: Collection[str]) -> Records:
    """Return the records of the folder of each key; the label's own is that of an image whose folder was not named."""
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
    return match({key: found[key if key in found else "label"] for key in needed})


def _from_deeprock(high: list[Path], folders: Mapping[str, str]) -> Records:
    records = []
    for hr in high:
        low = sorted(hr.parent.glob(hr.name.removesuffix("HR") + f"LR_{folders['image']}"))
        if not low:
            found = ", ".join(path.name for path in sorted(hr.parent.glob(hr.name.removesuffix("HR") + "LR_*")))
            raise DataError(
                f"{hr} has no partner '..._LR_{folders['image']}' (found: {found or 'none'}); choose one with "
                "--folders \"{'image': 'default_X4', 'label': 'HR'}\"."
            )
        rock = hr.name.split("_")[0]
        matched = match({"image": low[0], "label": hr})
        records += [{**record, "name": f"{rock}_{record['name']}"} for record in matched]
    return records
