"""Turns the path of a scan into a lazy volume, opened once per process."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform

from rockmonai.volumes import Standardised, open_volume
from rockmonai.volumes.colour import Grey, grey_of


class OpenVolumed(MapTransform):
    """Replaces paths by lazy volumes (C, *spatial) that read only what is sliced from them.

    The last 64 volumes stay open for the next record that names them: opening costs far more than reading a patch. Of
    what can only be decoded whole (pictures, compressed slices, compressed NRRD) a process keeps half a gigabyte.

    Args:
        keys: keys of paths; anything that is not a path stays as it is.
        grey: what becomes of colours, see :func:`rockmonai.volumes.open_volume`: one word, or one for each key that is
            not ``"strict"``, as in ``{"image": "luma", "label": "keep"}``.
        standardise: bring the greys of every volume as a whole to mean 0 and standard deviation 1, for which it is read
            once.
        allow_missing_keys: leave out keys that a record does not have.

    Raises:
        DataError: a file that is missing or cannot be read, or has a single grey and is to be standardised.
    """

    def __init__(
        self,
        keys: KeysCollection,
        grey: Grey | Mapping[Hashable, Grey] = "strict",
        standardise: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.grey = grey
        self.standardise = standardise

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its paths opened."""
        opened = dict(data)
        for key in self.key_iterator(opened):
            if isinstance(opened[key], (str, os.PathLike)):
                opened[key] = _open(os.fspath(opened[key]), grey_of(self.grey, key), self.standardise)
        return opened


@lru_cache(maxsize=64)
def _open(path: str, grey: Grey, standardise: bool) -> Any:
    volume = open_volume(path, grey=grey)
    return Standardised(volume) if standardise else volume
