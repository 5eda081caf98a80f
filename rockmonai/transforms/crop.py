"""Random windows cut from every side of a pair at once, each at its own scale."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from monai.utils import ensure_tuple_rep

from rockmonai.errors import DataError
from rockmonai.transforms.acceptance import MinFraction
from rockmonai.transforms.windows import Side, corner_choices, scale_between


class RandPairedCropd(Randomizable, MapTransform):
    """Cuts one random window from all keys and reads nothing else of them.

    The scale of a key is the integer ratio of the reference's size to its own, and the window's corner is drawn so that
    the corner in a coarse key times its scale is the corner in the reference, always.

    Args:
        keys: keys of lazy volumes, arrays or tensors (C, *spatial); the results are tensors of the same dtypes.
        patch_size: length of the window in voxels of the reference, one number or one per axis; ``None`` for all of the
            image or region, cut to a multiple of the scale.
        spatial_dims: 2 or 3. With 2, a volume gives one random slice along z, the same for all keys: (C, Y, X).
        reference: key with the finest voxels.
        roi_key: key of an optional region ``[[start, stop], ...]`` in voxels of the reference that no window leaves;
            it is removed from the record.
        misalign: by how many voxels of the reference the window of a key is moved, as in ``{"image": [dy, dx]}``, to
            study errors of registration.
        aligned: draw one window for all keys; otherwise one for each key.
        accept: rules that a window must meet.
        max_tries: windows to try before giving up.
        allow_missing_keys: leave out keys that a record does not have.

    Raises:
        DataError: sizes without an integer scale, a patch that does not fit, or no acceptable window in ``max_tries``.
        UsageError: a patch or misalignment that is no whole number of voxels in every key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        patch_size: int | Sequence[int] | None,
        spatial_dims: int,
        reference: str = "label",
        roi_key: str = "roi",
        misalign: Mapping[Hashable, Sequence[int]] | None = None,
        aligned: bool = True,
        accept: Sequence[MinFraction] = (),
        max_tries: int = 100,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.patch_size = ensure_tuple_rep(patch_size, spatial_dims)
        self.spatial_dims = spatial_dims
        self.reference = reference
        self.roi_key = roi_key
        self.misalign = dict(misalign or {})
        self.aligned = aligned
        self.accept = tuple(accept)
        self.max_tries = max_tries

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys cut to the window, without its region."""
        cut = {key: value for key, value in data.items() if key != self.roi_key}
        groups = self._groups(data)
        best = np.zeros(len(self.accept))
        for _ in range(self.max_tries):
            self.randomize(groups)
            cut.update({key: _read(data[key], box, self.spatial_dims) for key, box in self.boxes.items()})
            found = [rule.measure(cut) for rule in self.accept]
            if all(part >= rule.fraction for part, rule in zip(found, self.accept, strict=True)):
                return cut
            best = np.maximum(best, found)
        wanted = "; ".join(f"{rule}, at best {part:.1%}" for rule, part in zip(self.accept, best, strict=True))
        raise DataError(
            f"No window of {_name(self.reference, data)} was accepted in {self.max_tries} tries (wanted {wanted}): "
            "lower the fractions or leave the file out."
        )

    def randomize(self, data: Sequence[tuple[Mapping[Hashable, Side], Sequence[tuple[range, int]]]]) -> None:
        """Draw the box of every key, given the keys that share a window and its choices along each axis."""
        self.boxes: dict[Hashable, tuple[slice, ...]] = {}
        for group, axes in data:
            corner = [corners[self.R.randint(len(corners))] for corners, _ in axes]
            size = [length for _, length in axes]
            self.boxes |= {key: side.box(corner, size) for key, side in group.items()}

    def _groups(self, data: Mapping[Hashable, Any]) -> list[tuple[dict[Hashable, Side], list[tuple[range, int]]]]:
        """Return the keys that share a window, and for each axis the corners it may have and its length."""
        ndim = len(data[self.reference].shape) - 1
        if ndim < self.spatial_dims:
            raise DataError(f"{_name(self.reference, data)} is a single image: choose spatial_dims 2 or give a volume.")
        patch = (1,) * (ndim - self.spatial_dims) + self.patch_size
        region = data.get(self.roi_key) or [None] * ndim
        sides = {key: self._side(key, data) for key in self.key_iterator(data)}
        groups = [sides] if self.aligned else [{key: side} for key, side in sides.items()]
        return [
            (group, [corner_choices(axis, [*group.values()], patch[axis], region[axis]) for axis in range(ndim)])
            for group in groups
        ]

    def _side(self, key: Hashable, data: Mapping[Hashable, Any]) -> Side:
        name, shape, reference = _name(key, data), tuple(data[key].shape[1:]), tuple(data[self.reference].shape[1:])
        scale = scale_between(name, shape, reference)
        stacked = len(reference) - self.spatial_dims
        if any(s > 1 for s in scale[:stacked]):
            raise DataError(
                f"{name} has {shape[0]} slices and its reference {reference[0]}, but 2D patches need as many on every "
                "side: use spatial_dims 3 or slices that match."
            )
        return Side(name, shape, scale, (0,) * stacked + tuple(self.misalign.get(key, (0,) * self.spatial_dims)))


def _name(key: Hashable, data: Mapping[Hashable, Any]) -> str:
    """Return what the user knows a key's data by: its file, or else the key."""
    return str(getattr(data[key], "path", f"'{key}'"))


def _read(volume: Any, box: tuple[slice, ...], spatial_dims: int) -> torch.Tensor:
    """Return the box as a tensor that owns its memory, without the axis of a single slice."""
    window = volume[(slice(None), *box)]
    if isinstance(window, torch.Tensor):
        window = window.clone()
    else:
        window = torch.from_numpy(np.array(window, dtype=window.dtype.newbyteorder("="), order="C"))
    return window[:, 0] if window.ndim == 2 + spatial_dims else window
