"""The scans that a trained model is applied to."""

from __future__ import annotations

from rockmonai.errors import DataError
from rockmonai.volumes import check_finite, open_volume, stem_of


def scans(path: str, spatial_dims: int) -> list[dict[str, str]]:
    """Return the record of one image or volume, after checking that the model can read it.

    Args:
        path: the file, ``file::dataset`` or folder of slices.
        spatial_dims: 2 or 3, as the model has them.

    Raises:
        DataError: if it cannot be read, has other dimensions or several channels, or holds NaN.
    """
    volume = open_volume(path)
    if volume.spatial_dims != spatial_dims:
        kind = "a volume" if volume.spatial_dims == 3 else "one slice"
        raise DataError(
            f"{path} is {kind} of {'x'.join(map(str, volume.spatial_shape))} voxels, but the model is {spatial_dims}D; "
            f"pass --spatial_dims {volume.spatial_dims} with a model that was trained so."
        )
    if volume.channels != 1:
        raise DataError(f"{path} has {volume.channels} channels, the model expects 1; give it one channel.")
    check_finite(volume)
    return [{"image": path, "name": stem_of(path)}]
