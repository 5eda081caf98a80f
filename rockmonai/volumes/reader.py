"""MONAI's door to our formats: ``LoadImaged(keys, reader="rockmonai.volumes.VolumeReader")``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from monai.data.image_reader import ImageReader, _copy_compatible_dict, _stack_images
from monai.utils import ensure_tuple

from rockmonai.volumes.colour import Grey
from rockmonai.volumes.formats import can_open
from rockmonai.volumes.volume import Volume, open_volume


class VolumeReader(ImageReader):
    """Reads every format of `open_volume` channel-first, axes (z, y, x), spacing in the affine.

    Where a file states no spacing the affine is the identity. Several files for one item become channels.

    Args:
        grey: what becomes of colours, see `open_volume`.
    """

    def __init__(self, grey: Grey = "strict") -> None:
        super().__init__()
        self.grey = grey

    def verify_suffix(self, filename: Any) -> bool:
        """Tell whether every name has a suffix that we read, or is a folder."""
        return all(can_open(name) for name in ensure_tuple(filename))

    def read(self, data: Any, **kwargs: Any) -> Any:
        """Return the names: LoadImage hides what this method raises, so the files are opened in `get_data`."""
        return ensure_tuple(data)

    def get_data(self, img: Sequence[str]) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the voxels, (C, Z, Y, X) or (C, Y, X), and MONAI's metadata.

        Raises:
            DataError: a file cannot be read.
            RuntimeError: several files differ in shape or spacing.
        """
        arrays, together = [], dict[str, Any]()
        for name in img:
            with open_volume(name, grey=self.grey) as volume:
                _copy_compatible_dict(_meta(volume), together)
                arrays.append(volume.read())
        return _stack_images(arrays, together), together


def _meta(volume: Volume) -> dict[str, Any]:
    spacing = volume.spacing or (1.0,) * volume.spatial_dims
    affine = np.diag([*spacing, 1.0])
    return {
        "affine": affine,
        "original_affine": affine.copy(),
        "original_channel_dim": 0,
        "spatial_shape": np.asarray(volume.spatial_shape),
        "spacing": spacing,
        "filename": str(volume.path),
        "original_dtype": volume.dtype.name,
    }
