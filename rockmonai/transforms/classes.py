"""From one binary mask per phase to one map of classes, as a segmentation is trained on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from rockmonai.errors import DataError


def class_map(masks: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the class of every voxel, int64: 0 where all masks are 0, else the number of the last one that is not.

    Args:
        masks: of one shape, such as (1, *spatial); the first one's voxels are class 1.

    Raises:
        DataError: for unequal shapes.
    """
    shapes = {tuple(mask.shape) for mask in masks}
    if len(shapes) != 1:
        raise DataError(f"Masks of one shape make a class map, found {' and '.join(map(str, sorted(shapes)))}.")
    classes = torch.zeros(masks[0].shape, dtype=torch.int64)
    for number, mask in enumerate(masks, start=1):
        classes[mask != 0] = number
    return classes


class MasksToClassesd(MapTransform):
    """Adds the class map (1, *spatial) of several masks: 0 for the background, 1 for the first mask, and so on.

    Where masks overlap the later one wins. The map is what MONAI's losses take with ``to_onehot_y=True``; for
    :class:`torch.nn.CrossEntropyLoss` leave out the channel axis of its batches.

    Args:
        keys: keys of the masks (1, *spatial), such as ``["lowdensity", "highdensity"]``, 1 in their phase.
        output: key of the class map, int64.

    Raises:
        DataError: a mask is missing, or they have unequal shapes.
    """

    def __init__(self, keys: KeysCollection, output: str = "label") -> None:
        super().__init__(keys)
        self.output = output

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its class map."""
        absent = [key for key in self.keys if key not in data]
        if absent:
            raise DataError(f"There is no mask '{absent[0]}' to make classes of: name its folder in 'folders'.")
        return {**data, self.output: class_map([torch.as_tensor(data[key]) for key in self.keys])}
