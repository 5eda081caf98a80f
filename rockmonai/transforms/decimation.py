"""Bringing one key of a pair to the size of the other: decimation, and the bicubic baseline that enlarges."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import ensure_tuple_rep

from rockmonai.errors import DataError
from rockmonai.transforms.resampling import resample
from rockmonai.volumes.blocks import in_words


def low_resolution_size(shape: Sequence[int], scale: int) -> tuple[int, ...]:
    """Return the spatial size of ``shape`` divided by ``scale``.

    Args:
        shape: (C, *spatial) of the high-resolution side.
        scale: integer factor per axis.

    Raises:
        DataError: an axis is not a multiple of ``scale``.
    """
    if any(n % scale for n in shape[1:]):
        raise DataError(
            f"A size of {in_words(shape[1:])} voxels cannot be divided by the scale {scale}: cut it to a multiple "
            "first."
        )
    return tuple(n // scale for n in shape[1:])


def needs_degrading(key: Hashable, shape: Sequence[int], like_shape: Sequence[int], scale: int) -> bool:
    """Return whether ``key`` has the size of the high-resolution side (true) or 1/``scale`` of it already (false).

    Raises:
        DataError: it has neither size.
    """
    small = low_resolution_size(like_shape, scale)
    if tuple(shape[1:]) == small:
        return False
    if tuple(shape[1:]) == tuple(like_shape[1:]):
        return True
    raise DataError(
        f"'{key}' has {in_words(shape[1:])} voxels where {in_words(small)} (low resolution) or "
        f"{in_words(like_shape[1:])} (to be degraded) were expected: check the pair and the scale {scale}."
    )


class Decimated(MapTransform):
    """Shrinks keys to 1/``scale`` of the size of another key; what has that size already stays as it is.

    Args:
        keys: keys of (C, *spatial) values.
        scale: integer factor per axis.
        kernel: see :func:`resample`; ``nearest`` is for class maps and masks and keeps their dtype.
        antialias: widen the kernel to suppress aliasing.
        like: key whose size is the high-resolution one.
        allow_missing_keys: leave out keys that a record does not have.

    Raises:
        DataError: a key has neither the size of ``like`` nor 1/``scale`` of it.
    """

    def __init__(
        self,
        keys: KeysCollection,
        scale: int,
        kernel: str = "area",
        antialias: bool = True,
        like: str = "label",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.scale = scale
        self.kernel = kernel
        self.antialias = antialias
        self.like = like

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Return the record with its keys at low resolution."""
        decimated = dict(data)
        like_shape = data[self.like].shape
        for key in self.key_iterator(decimated):
            x = torch.as_tensor(decimated[key])
            if needs_degrading(key, x.shape, like_shape, self.scale):
                x = resample(x, low_resolution_size(like_shape, self.scale), self.kernel, self.antialias)
            decimated[key] = x
        return decimated


class Bicubicd(MapTransform):
    """Adds the bicubic enlargement of a key: the baseline that every super-resolution network has to beat.

    Args:
        keys: keys of (C, *spatial) values in [-1, 1].
        output_key: where the enlargement goes, clipped to [-1, 1]; one name for each key.
        scale: integer factor per axis.
    """

    def __init__(self, keys: KeysCollection = "image", output_key: KeysCollection = "bicubic", scale: int = 4) -> None:
        super().__init__(keys)
        self.output_keys = ensure_tuple_rep(output_key, len(self.keys))
        self.scale = scale

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Return the record with the enlargements added."""
        enlarged = dict(data)
        for key, output_key in self.key_iterator(enlarged, self.output_keys):
            x = torch.as_tensor(enlarged[key])
            enlarged[output_key] = resample(x, [n * self.scale for n in x.shape[1:]], "bicubic").clamp(-1, 1)
        return enlarged
