"""How data sets lie on disk, and which of their files belong together."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rockmonai.errors import DataError
from rockmonai.volumes import list_scans, natural_key, stem_of

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
Record = dict[str, Any]


def find_records(dataset_dir: Path, split: str, folders: Mapping[str, str], holdout: float) -> list[Record]:
    """Return the records of one split: a path for every key of ``folders``, a ``name``, perhaps a region ``roi``.

    Layouts, in this order: a ``.json`` list; one image or volume; DeepRock-SR (``<rock>_train_HR`` beside
    ``<rock>_train_LR_default_X4``); ``<split>/<folder>/*``; ``<folder>/*`` or plain images, of which the last ones are
    held out. Where only the label's images exist, the label stands in for the image: training then degrades it.

    Args:
        dataset_dir: a folder or file.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        folders: folder name of each key; ``label`` is the key of the high-quality images.
        holdout: share of an unsplit data set that is kept from training.

    Raises:
        DataError: if nothing is found, or an image has no partner.
    """
    if not dataset_dir.exists() and "::" not in dataset_dir.name:
        raise DataError(
            f"There is no data set {dataset_dir}; pass --dataset_dir with a folder, a volume or a .json list."
        )
    if dataset_dir.suffix == ".json":
        return _from_list(dataset_dir, split, folders)
    if not dataset_dir.is_dir() or dataset_dir.name.endswith(".zarr"):
        return [{"name": stem_of(dataset_dir), **dict.fromkeys(folders, str(dataset_dir)), "holdout": (split, holdout)}]
    deeprock = sorted(dataset_dir.glob(f"*_{_deeprock_name(split)}_HR"))
    if deeprock:
        return [record for hr in deeprock for record in _from_deeprock(hr, folders)]
    for name in SPLITS[split]:
        if (dataset_dir / name).is_dir():
            return match(_present(dataset_dir / name, folders))
    if any((dataset_dir / name).is_dir() for names in SPLITS.values() for name in names):
        raise DataError(f"{dataset_dir} has no folder '{split}'; it holds {_listing(dataset_dir)}.")
    return _held_out(match(_present(dataset_dir, folders)), split, holdout)


def match(folders: Mapping[str, Path]) -> list[Record]:
    """Return one record for each image that every folder holds, matched by name.

    ``TXM001.tif`` and ``SEM001.tif`` match, as do ``0001.png`` and ``0001x4.png``: the part of the names that all files
    of a folder begin with, unless it is a number, and an ending such as ``x4`` do not count.

    Raises:
        DataError: if a folder is empty, two of its names are alike, or an image has no partner.
    """
    named = {key: _by_name(folder) for key, folder in folders.items()}
    everywhere = set.intersection(*(set(files) for files in named.values()))
    for key, files in named.items():
        alone = sorted(set(files) - everywhere)
        if alone:
            others = ", ".join(sorted(str(folders[k]) for k in folders if folders[k] != folders[key]))
            shown = ", ".join(files[name].name for name in alone[:10]) + (", ..." if len(alone) > 10 else "")
            raise DataError(
                f"{len(alone)} of {len(files)} images in {folders[key]} have no partner in {others}: {shown}."
            )
    return [
        {"name": name, **{key: str(files[name]) for key, files in named.items()}}
        for name in sorted(everywhere, key=natural_key)
    ]


def _by_name(folder: Path) -> dict[str, Path]:
    files = list_scans(folder)
    if not files:
        raise DataError(f"There are no images in {folder}; it holds {_listing(folder)}.")
    stems = [re.sub(r"x\d+$", "", stem_of(file)) for file in files]
    # The common beginning is the modality's name; digits in it belong to the number that tells the images apart.
    shared = re.match(r"\D*", _common_beginning(stems))[0] if len(files) > 1 else re.match(r"\D*", stems[0])[0]  # type: ignore[index]
    names = [stem[len(shared) :] or stem for stem in stems]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"Several images in {folder} are called '{twice[0]}'; give each its own name.")
    return dict(zip(names, files, strict=True))


def _common_beginning(words: Sequence[str]) -> str:
    first, last = min(words), max(words)
    return first[
        : next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    ]


def _present(parent: Path, folders: Mapping[str, str]) -> dict[str, Path]:
    """Return the folder of each key; the label's own where the image has none."""
    found = {key: parent / name for key, name in folders.items() if (parent / name).is_dir()}
    if "label" not in found:
        if found or not list_scans(parent):
            raise DataError(
                f"{parent} has no folder '{folders['label']}'; it holds {_listing(parent)}; "
                "name its folders with --folders."
            )
        found["label"] = parent
    missing = [key for key in folders if key not in found and key != "image"]
    if missing:
        raise DataError(
            f"{parent} has no folder '{folders[missing[0]]}' for '{missing[0]}'; it holds {_listing(parent)}."
        )
    return {key: found.get(key, found["label"]) for key in folders}


def _from_list(file: Path, split: str, folders: Mapping[str, str]) -> list[Record]:
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise DataError(f"{file} is not JSON ({error}).") from error
    listed = next((content[name] for name in SPLITS[split] if name in content), None)
    if not listed:
        raise DataError(f"{file} lists no '{split}' records; it has {', '.join(content) or 'no lists'}.")
    records = []
    for entry in listed:
        if "label" not in entry:
            raise DataError(f"A record in {file} has no 'label'; it has {', '.join(entry)}.")
        paths = {key: str(file.parent / entry.get(key, entry["label"])) for key in folders}
        region = {"roi": entry["roi"]} if "roi" in entry else {}
        records.append({"name": entry.get("name", stem_of(Path(entry["label"]))), **paths, **region})
    return records


def _from_deeprock(hr: Path, folders: Mapping[str, str]) -> list[Record]:
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


def _deeprock_name(split: str) -> str:
    return "valid" if split == "validation" else split


def _held_out(records: list[Record], split: str, holdout: float) -> list[Record]:
    """Return the records of one split of an unsplit data set: the last ones are for validation, then for the test."""
    if len(records) == 1:
        return [{**records[0], "holdout": (split, holdout)}]
    held = max(1, round(len(records) * holdout))
    train, rest = records[:-held], records[-held:]
    middle = max(1, len(rest) // 2)
    return {"train": train, "validation": rest[:middle], "test": rest[middle:] or rest}[split]


def _listing(folder: Path) -> str:
    names = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    return (", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")) or "nothing"
