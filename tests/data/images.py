"""Images on disk for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile


def write(path: Path, shape: tuple[int, ...] = (4, 4), dtype: type = np.uint8, value: int = 7) -> Path:
    """Write a constant grey image or volume and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.full(shape, value, dtype), photometric="minisblack")
    return path
