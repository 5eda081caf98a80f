"""The order in which people number slices: slice2 before slice10."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Return a sort key under which runs of digits compare as numbers and letters regardless of case."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part)) if part.isdecimal() else (1, part.lower()) for part in parts]


def natural_sorted(paths: Iterable[Path]) -> list[Path]:
    """Return ``paths`` by the natural order of their file names."""
    return sorted(paths, key=lambda path: (natural_key(path.name), path.name))
