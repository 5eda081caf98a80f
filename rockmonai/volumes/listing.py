"""The scans that a folder holds, and their names without the format's ending."""

from __future__ import annotations

from pathlib import Path

from rockmonai.volumes.formats import suffix_of
from rockmonai.volumes.natural import natural_sorted


def list_scans(folder: Path) -> list[Path]:
    """Return the files (and Zarr folders) of ``folder`` that `open_volume` reads, in natural order."""
    return natural_sorted(p for p in folder.iterdir() if not p.name.startswith(".") and suffix_of(p) is not None)


def stem_of(path: str | Path) -> str:
    """Return the name of a scan: ``rock`` for ``rock.nii.gz``, ``rock.ome.zarr`` and ``rock.h5::tomo/data``."""
    path = Path(str(path).partition("::")[0])
    suffix = suffix_of(path) or ""
    return path.name[: len(path.name) - len(suffix)].removesuffix(".ome")
