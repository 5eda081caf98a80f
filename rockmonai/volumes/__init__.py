"""Scans on disk: opened lazily, created atomically, in the formats that rock laboratories use."""

from typing import TYPE_CHECKING, Any

from rockmonai.volumes.atomic import atomic_write, make_writable, sha256_of
from rockmonai.volumes.create import WritableVolume, create_volume
from rockmonai.volumes.finite import check_finite
from rockmonai.volumes.listing import list_scans, stem_of
from rockmonai.volumes.natural import natural_key
from rockmonai.volumes.volume import Volume, open_volume

if TYPE_CHECKING:
    from rockmonai.volumes.reader import VolumeReader

__all__ = [
    "Volume",
    "VolumeReader",
    "WritableVolume",
    "atomic_write",
    "check_finite",
    "create_volume",
    "list_scans",
    "make_writable",
    "natural_key",
    "open_volume",
    "sha256_of",
    "stem_of",
]


def __getattr__(name: str) -> Any:
    # The reader imports MONAI, and with it seconds of itk and nibabel, which measuring a volume does not need.
    if name == "VolumeReader":
        from rockmonai.volumes.reader import VolumeReader

        return VolumeReader
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
