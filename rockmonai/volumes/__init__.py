"""Scans on disk: opened lazily, created atomically, in the formats that rock laboratories use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rockmonai.volumes.atomic import atomic_write, make_writable, sha256_of
from rockmonai.volumes.create import WritableVolume, create_volume
from rockmonai.volumes.fingerprint import check_unchanged, fingerprint
from rockmonai.volumes.finite import check_finite
from rockmonai.volumes.listing import list_scans, stem_of
from rockmonai.volumes.natural import natural_key
from rockmonai.volumes.standardised import Standardised, grey_range, moments
from rockmonai.volumes.volume import Volume, open_volume

if TYPE_CHECKING:
    from rockmonai.volumes.block_store import BlockStore, begun_with
    from rockmonai.volumes.reader import VolumeReader

__all__ = [
    "BlockStore",
    "Standardised",
    "Volume",
    "VolumeReader",
    "WritableVolume",
    "atomic_write",
    "begun_with",
    "check_finite",
    "check_unchanged",
    "create_volume",
    "fingerprint",
    "grey_range",
    "list_scans",
    "make_writable",
    "moments",
    "natural_key",
    "open_volume",
    "sha256_of",
    "stem_of",
]


# What brings MONAI (with seconds of itk and nibabel) or Zarr along, which opening a TIFF does not need.
_LATER = {"BlockStore": "block_store", "begun_with": "block_store", "VolumeReader": "reader"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
