"""Which file of this folder reads and writes which suffix: a format is one file and one line here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType

from rockmonai.errors import DataError, OutputError, did_you_mean, first_line
from rockmonai.volumes.source import Source

# suffix: module with open_source(path, member)
_OPENERS = {
    ".tif": "tiff",
    ".tiff": "tiff",
    ".btf": "tiff",
    ".png": "picture",
    ".jpg": "picture",
    ".jpeg": "picture",
    ".bmp": "picture",
    ".raw": "raw",
    ".npy": "npy",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".hdf": "hdf5",
    ".nxs": "hdf5",
    ".nc": "hdf5",
    ".mat": "hdf5",
    ".zarr": "ome_zarr",
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".nrrd": "itk_image",
    ".nhdr": "itk_image",
    ".mha": "itk_image",
    ".mhd": "itk_image",
}

# suffix: module with create(path, layout)
_CREATORS = {
    ".zarr": "ome_zarr",
    ".tif": "tiff_writer",
    ".tiff": "tiff_writer",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".nrrd": "itk_image",
    ".mha": "itk_image",
    ".npy": "npy",
    ".raw": "raw",
    ".png": "picture",
}

_WITH_MEMBERS = ("hdf5", "ome_zarr")
_ZARR_FILES = ("zarr.json", ".zarray", ".zgroup")


def open_source(name: str) -> Source:
    """Open ``name`` (``file``, ``folder`` or ``file::dataset``) with the format that its suffix names.

    Raises:
        DataError: nothing is there, the format is unknown, or the file is damaged.
    """
    file, _, member = name.partition("::")
    path = Path(file)
    module = _opener(path)
    if member and module not in _WITH_MEMBERS:
        raise DataError(f"{path} holds a single image: '::{member}' is for HDF5, NetCDF, MAT and Zarr.")
    try:
        return import_module(f"rockmonai.volumes.{module}").open_source(path, member)
    except DataError:
        raise
    except Exception as error:  # a damaged file makes the libraries raise anything
        raise DataError(
            f"{name} cannot be read ({first_line(error)}): it is damaged or not what its suffix says."
        ) from error


def picture_kind(path: Path) -> str | None:
    """Return the module that reads ``path`` as one slice of a folder, None if it is no image format."""
    module = _OPENERS.get(path.suffix.lower())
    return module if module in ("tiff", "picture") else None


def can_open(path: str | Path) -> bool:
    """Tell whether the suffix, or the fact that it is a folder, names a readable format."""
    path = Path(str(path).partition("::")[0])
    return path.is_dir() or _suffix(path, _OPENERS) is not None


def creator(path: Path) -> ModuleType:
    """Return the module that writes the format of ``path``; a name without a suffix is a folder of slices.

    Raises:
        OutputError: no writer knows the suffix.
    """
    suffix = _suffix(path, _CREATORS)
    if suffix is None and not path.suffix:
        return import_module("rockmonai.volumes.slices")
    if suffix is None:
        raise OutputError(
            f"{path} cannot be written, its suffix is unknown: use one of {' '.join(_CREATORS)}, or none for a folder "
            "of slices."
        )
    return import_module(f"rockmonai.volumes.{_CREATORS[suffix]}")


def suffix_of(path: Path) -> str | None:
    """Return the ending by which the format of ``path`` is known, lower-case; None if it cannot be read."""
    return _suffix(path, _OPENERS)


def inventory(names: Iterable[str]) -> str:
    """Return what a folder holds, such as ``4 *.png, 1 *.txt``, or ``nothing``."""
    kinds = Counter(Path(name).suffix.lower() or "(no suffix)" for name in names)
    return ", ".join(f"{count} *{kind}" for kind, count in kinds.most_common(8)) or "nothing"


def _opener(path: Path) -> str:
    if not path.exists():
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path} does not exist{did_you_mean(path.name, beside)}: check the path.")
    if path.is_dir():
        is_zarr = path.suffix.lower() == ".zarr" or any((path / mark).exists() for mark in _ZARR_FILES)
        return "ome_zarr" if is_zarr else "folder"
    suffix = _suffix(path, _OPENERS)
    if suffix is None:
        raise DataError(f"{path} has no known suffix: use one of {' '.join(_OPENERS)}, or a folder of slices.")
    return _OPENERS[suffix]


def _suffix(path: Path, table: dict[str, str]) -> str | None:
    return max((suffix for suffix in table if path.name.lower().endswith(suffix)), key=len, default=None)
