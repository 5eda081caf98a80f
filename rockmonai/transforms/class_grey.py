"""A grey-scale change that depends on the material: each class of a label map gets its own gain and offset."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from rockmonai.errors import DataError


def class_grey(
    x: torch.Tensor, semantic: torch.Tensor, gain: Sequence[float], offset: Sequence[float] | None = None
) -> torch.Tensor:
    """Return ``x`` with the brightness ``u = (x + 1) / 2`` of class ``k`` changed to ``gain[k] * u + offset[k]``.

    Args:
        x: values (C, *spatial) in [-1, 1]; the result is clipped to the same range.
        semantic: class codes (1, *spatial), counted from 0.
        gain: one factor for each class.
        offset: one summand for each class as a fraction of the grey range; ``None`` for none.

    Raises:
        DataError: ``semantic`` has another size than ``x``, or a code without a gain.
    """
    if semantic.shape[1:] != x.shape[1:]:
        raise DataError(
            f"The class map has {tuple(semantic.shape[1:])} voxels and the image {tuple(x.shape[1:])}: "
            "change the greys before the sizes."
        )
    codes = semantic.long()
    if not 0 <= int(codes.min()) <= int(codes.max()) < len(gain):
        raise DataError(
            f"The class map holds codes from {int(codes.min())} to {int(codes.max())} but {len(gain)} gains were "
            f"given: encode it as 0 to {len(gain) - 1}."
        )
    offset = [0.0] * len(gain) if offset is None else offset
    brightness = (x + 1) / 2 * x.new_tensor(gain)[codes] + x.new_tensor(offset)[codes]
    return (2 * brightness - 1).clamp(-1, 1)


class ClassGreyd(MapTransform):
    """Changes the brightness of each class of a label map by its own gain and offset, see :func:`class_grey`.

    Args:
        keys: keys of (C, *spatial) values in [-1, 1].
        gain: one factor for each class.
        semantic_key: key of the class codes (1, *spatial).
        offset: one summand for each class as a fraction of the grey range; ``None`` for none.
        allow_missing_keys: leave out keys that a record does not have.

    Raises:
        DataError: the record has no class map, or one that does not fit.
    """

    def __init__(
        self,
        keys: KeysCollection,
        gain: Sequence[float],
        semantic_key: str = "semantic",
        offset: Sequence[float] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.semantic_key = semantic_key
        self.gain = gain
        self.offset = offset

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Return the record with the greys of its keys changed."""
        changed = dict(data)
        for key in self.key_iterator(changed):
            if self.semantic_key not in data:
                raise DataError(
                    f"The record has no class map '{self.semantic_key}' for the class-dependent greys of '{key}': "
                    "add the map or choose another degradation."
                )
            x = torch.as_tensor(changed[key], dtype=torch.float32)
            changed[key] = class_grey(x, torch.as_tensor(data[self.semantic_key]), self.gain, self.offset)
        return changed


class RandClassGreyd(RandomizableTransform, MapTransform):
    """Changes the brightness of each class of a label map by a random gain, the same for all keys.

    Args:
        keys: keys of (C, *spatial) values in [-1, 1].
        gain: smallest and largest factor for each class.
        semantic_key: key of the class codes (1, *spatial).
        prob: probability of changing the greys at all.
        allow_missing_keys: leave out keys that a record does not have.

    Raises:
        DataError: the record has no class map, or one that does not fit.
    """

    def __init__(
        self,
        keys: KeysCollection,
        gain: Sequence[tuple[float, float]],
        semantic_key: str = "semantic",
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.gain = gain
        self.semantic_key = semantic_key

    def randomize(self, data: None = None) -> None:
        """Draw whether to change the greys, and the gain of each class."""
        super().randomize(None)
        self.drawn_gain = [float(self.R.uniform(*limits)) for limits in self.gain]

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Return the record with its keys' greys changed, as float32."""
        self.randomize()
        if not self._do_transform:
            return dict(data)
        drawn = ClassGreyd(self.keys, self.drawn_gain, self.semantic_key, allow_missing_keys=self.allow_missing_keys)
        return drawn(data)
