"""Which files of several folders show the same place, told by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rockmonai.errors import DataError
from rockmonai.volumes import list_scans, natural_key, stem_of

# TXM001, 0001x4, rock_12_HR: a word without digits, then what tells the images apart, then perhaps an ending.
_NUMBERED = re.compile(r"(?P<word>\D*)(?P<number>\d.*?)(?P<ending>(?<=\d)x\d+|\D*)")


def match(folders: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Return one record for each image that every folder holds: ``name`` and a path for every key.

    Names that are equal in all folders match. Only where no name is, the modality's own words are left out of them:
    what stands before the first digit in most names of a folder, and an ending (``x4``, ``_HR``) that all of these
    share. So ``TXM001`` matches ``SEM_dark001``, ``0001`` matches ``0001x4`` and ``7_LR`` matches ``7_HR``. A folder of
    nothing but ``sampleA_1, sampleA_2`` cannot be told from a modality and matches one of ``sampleB_1, sampleB_2``.

    Raises:
        DataError: if a folder is empty, two of its names are alike, or an image has no partner.
    """
    units = {key: list_units(folder) for key, folder in folders.items()}
    names = {key: [stem_of(path) for path in paths] for key, paths in units.items()}
    if not set.intersection(*map(set, names.values())):
        names = {key: _without_words(stems) for key, stems in names.items()}
    named = {key: _by_name(folders[key], names[key], units[key]) for key in folders}
    everywhere = set.intersection(*map(set, named.values()))
    for key, files in named.items():
        alone = [files[name].name for name in files if name not in everywhere]
        if alone:
            others = ", ".join(sorted({str(folder) for folder in folders.values() if folder != folders[key]}))
            shown = ", ".join(alone[:10]) + (", ..." if len(alone) > 10 else "")
            raise DataError(
                f"{len(alone)} of {len(files)} images in {folders[key]} have no partner in {others}: {shown}."
            )
    return [
        {"name": name, **{key: str(files[name]) for key, files in named.items()}}
        for name in sorted(everywhere, key=natural_key)
    ]


def list_units(folder: Path) -> list[Path]:
    """Return what is one image or volume each in ``folder``: its files, or else its sub-folders of slices.

    Raises:
        DataError: there is neither.
    """
    units = list_scans(folder) or [path for path in folder.iterdir() if path.is_dir() and list_scans(path)]
    if not units:
        raise DataError(f"There are no images in {folder}; it holds {contents(folder)}.")
    return sorted(units, key=lambda path: natural_key(path.name))


def contents(folder: Path) -> str:
    """Return the first names that ``folder`` holds, for a message."""
    names = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
    return (", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")) or "nothing"


def _without_words(stems: list[str]) -> list[str]:
    """Return the names without the words of their folder's modality; a name that has not these words stays whole."""
    parts = [found for found in map(_NUMBERED.fullmatch, stems) if found]
    words = Counter(part["word"] for part in parts)
    if not words:
        return stems
    word = words.most_common(1)[0][0]
    regular = {part.string for part in parts if part["word"] == word}
    endings = {part["ending"] for part in parts if part["word"] == word}
    ending = endings.pop() if len(endings) == 1 else ""
    return [stem.removeprefix(word).removesuffix(ending) if stem in regular else stem for stem in stems]


def _by_name(folder: Path, names: list[str], units: list[Path]) -> dict[str, Path]:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"Several images in {folder} are called '{twice[0]}'; give each its own name.")
    return dict(zip(names, units, strict=True))
