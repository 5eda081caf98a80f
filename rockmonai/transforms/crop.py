"""Random windows cut from every side of a pair at once, each at its own scale."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from monai.utils import ensure_tuple_rep

from rockmonai.errors import DataError, UsageError
from rockmonai.transforms.acceptance import Rule, first_accepted
from rockmonai.transforms.windows import Side, corner_choices, scale_between

# The sides that share a window; for each axis the corners it may have, and its length.
Group = tuple[dict[Hashable, Side], list[tuple[range, int]]]


class RandPairedCropd(Randomizable, MapTransform):
    """Cuts one random window from all keys and reads nothing else of them.

    The scale of a key is the integer ratio of the reference's size to its own, and the window's corner is drawn so that
    the corner in a coarse key times its scale is the corner in the reference, always.

    Args:
        keys: keys of lazy volumes, arrays or tensors (C, *spatial); the results are tensors of the same dtypes.
        patch_size: length of the window in voxels of the reference, one number or one per axis; ``None`` for all of the
            image or region. Without ``aligned`` it is in voxels of each key, and may be given for each, as in
            ``{"image": 24, "label": 96}``.
        spatial_dims: 2 or 3. With 2, a volume gives one random slice along z, the same for all keys: (C, Y, X).
        reference: key with the finest voxels.
        multiple: whole images and regions are cut to a multiple of this many voxels of the reference, such as the scale
            at which one of the keys will be degraded, and always of the scales that the sizes have.
        roi_key: key of an optional region ``[[start, stop], ...]`` in voxels of the reference that no window leaves;
            it is removed from the record. Without ``aligned`` every key is cut from the same share of its own axes.
        misalign: by how many voxels of the reference the window of a key is moved, as in ``{"image": [dy, dx]}``, to
            study errors of registration.
        aligned: draw one window for all keys; otherwise one for each key, whose sizes need no common scale.
        accept: rules that a window must meet.
        max_tries: windows to try before giving up.
        allow_missing_keys: leave out keys that a record does not have.

    Raises:
        DataError: sizes without an integer scale, or a patch that does not fit.
        NoWindow: no acceptable window in ``max_tries``.
        UsageError: a patch or misalignment that is no whole number of voxels in every key, or a patch for each key
            where they share a window.
    """

    def __init__(
        self,
        keys: KeysCollection,
        patch_size: int | Sequence[int] | Mapping[Hashable, int | Sequence[int]] | None,
        spatial_dims: int,
        reference: str = "label",
        multiple: int = 1,
        roi_key: str = "roi",
        misalign: Mapping[Hashable, Sequence[int]] | None = None,
        aligned: bool = True,
        accept: Sequence[Rule] = (),
        max_tries: int = 100,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if isinstance(patch_size, Mapping) and (aligned or set(patch_size) != set(self.keys)):
            raise UsageError(
                f"patch_size {patch_size} has a size for each key: that needs aligned=False and all of "
                f"{', '.join(map(str, self.keys))}."
            )
        sizes = patch_size if isinstance(patch_size, Mapping) else dict.fromkeys((reference, *self.keys), patch_size)
        self.patch_size = {key: ensure_tuple_rep(size, spatial_dims) for key, size in sizes.items()}
        self.spatial_dims = spatial_dims
        self.reference = reference
        self.multiple = multiple
        self.roi_key = roi_key
        self.misalign = dict(misalign or {})
        self.aligned = aligned
        self.accept = tuple(accept)
        self.max_tries = max_tries

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys cut to the window, without its region."""
        kept = {key: value for key, value in data.items() if key != self.roi_key}
        groups = self._groups(data)

        def draw() -> dict[Hashable, Any]:
            self.randomize(groups)
            return {**kept, **{key: read_box(data[key], box, self.spatial_dims) for key, box in self.boxes.items()}}

        return first_accepted(draw, self.accept, self.max_tries, name_of(self.reference, data))

    def randomize(self, data: Sequence[Group]) -> None:
        """Draw the box of every key, given the sides that share a window and its choices along each axis."""
        self.boxes: dict[Hashable, tuple[slice, ...]] = {}
        for group, axes in data:
            corner = [corners[self.R.randint(len(corners))] for corners, _ in axes]
            size = [length for _, length in axes]
            self.boxes |= {key: side.box(corner, size) for key, side in group.items()}

    def _groups(self, data: Mapping[Hashable, Any]) -> list[Group]:
        keys = list(self.key_iterator(data))
        if self.aligned:
            return [self._group(keys, self.reference, data)]
        return [self._group([key], key, data) for key in keys]

    def _group(self, keys: Sequence[Hashable], reference: Hashable, data: Mapping[Hashable, Any]) -> Group:
        shape = _spatial_shape(reference, data)
        stacked = len(shape) - self.spatial_dims
        if stacked < 0:
            raise DataError(f"{name_of(reference, data)} is a single image: choose spatial_dims 2 or give a volume.")
        patch = (1,) * stacked + self.patch_size[reference]
        region = self._region(shape, data)
        sides = {key: self._side(key, reference, stacked, data) for key in keys}
        return sides, [
            corner_choices(axis, [*sides.values()], patch[axis], region[axis], self.multiple)
            for axis in range(len(shape))
        ]

    def _region(self, shape: Sequence[int], data: Mapping[Hashable, Any]) -> list[tuple[int, int]]:
        """Return where along each axis of ``shape`` a window may lie: the same share of it as of the reference."""
        if not data.get(self.roi_key):
            return [(0, n) for n in shape]
        spans = zip(data[self.roi_key], shape, _spatial_shape(self.reference, data), strict=True)
        return [(start * n // whole, stop * n // whole) for (start, stop), n, whole in spans]

    def _side(self, key: Hashable, reference: Hashable, stacked: int, data: Mapping[Hashable, Any]) -> Side:
        name, shape, finest = name_of(key, data), _spatial_shape(key, data), _spatial_shape(reference, data)
        scale = scale_between(name, shape, finest)
        if any(s > 1 for s in scale[:stacked]):
            raise DataError(
                f"{name} has {shape[0]} slices and its reference {finest[0]}, but 2D patches need as many on every "
                "side: use spatial_dims 3 or slices that match."
            )
        return Side(name, shape, scale, (0,) * stacked + tuple(self.misalign.get(key, (0,) * self.spatial_dims)))


def _spatial_shape(key: Hashable, data: Mapping[Hashable, Any]) -> tuple[int, ...]:
    return tuple(data[key].shape[1:])


class WholeImaged(RandPairedCropd):
    """Reads whole images (or their regions), cut to a multiple of ``multiple`` reference voxels; nothing is random.

    Args:
        keys: keys of lazy volumes, arrays or tensors (C, *spatial).
        spatial_dims: 2 or 3; with 2, a volume must be a region of one slice.
        reference: key with the finest voxels.
        multiple: voxels of the reference of which every length is a multiple.
        allow_missing_keys: leave out keys that a record does not have.
    """

    def __init__(
        self,
        keys: KeysCollection,
        spatial_dims: int,
        reference: str = "label",
        multiple: int = 1,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, None, spatial_dims, reference, multiple, allow_missing_keys=allow_missing_keys)


def name_of(key: Hashable, data: Mapping[Hashable, Any]) -> str:
    """Return what the user knows a key's data by: its file, or else the key."""
    return str(getattr(data[key], "path", f"'{key}'"))


def read_box(volume: Any, box: tuple[slice, ...], spatial_dims: int) -> torch.Tensor:
    """Return the box as a tensor that owns its memory, without the axis of a single slice."""
    window = volume[(slice(None), *box)]
    if isinstance(window, torch.Tensor):
        window = window.clone()
    else:
        window = torch.from_numpy(np.array(window, dtype=window.dtype.newbyteorder("="), order="C"))
    return window[:, 0] if window.ndim == 2 + spatial_dims else window
