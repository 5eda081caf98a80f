"""A class map, or a map of some quantity, as further channels of the image that it guides."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from rockmonai.errors import DataError
from rockmonai.transforms.resampling import resample


def class_channels(semantic: torch.Tensor, classes: int, grey: bool = False) -> torch.Tensor:
    """Return a class map as channels, float32.

    Args:
        semantic: numbers of classes, (1, *spatial).
        classes: how many there are.
        grey: one channel from -1 (class 0) to 1 (the last class), which gives classes an order that they do not have;
            otherwise one channel for each class, 1 where it is and -1 elsewhere.

    Returns:
        (classes, *spatial), or (1, *spatial) for ``grey``.

    Raises:
        DataError: a number is no class.
    """
    semantic = semantic.long()
    least, greatest = (int(number) for number in torch.aminmax(semantic))
    if least < 0 or greatest >= classes:
        raise DataError(
            f"A class map of {classes} classes holds numbers from 0 to {classes - 1}, found {least} to {greatest}: "
            "mend the map, or pass --classes."
        )
    if grey:
        return 2 * semantic.float() / max(classes - 1, 1) - 1
    numbers = torch.arange(classes).view(-1, *[1] * (semantic.ndim - 1))
    return 2 * (semantic == numbers).float() - 1


def gathered(fine: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return a finer map on a coarser grid, with a channel for each of the fine voxels that make a coarse one.

    The inverse of a sub-pixel shuffle (Shi et al., https://arxiv.org/abs/1609.05158): nothing is lost.

    Args:
        fine: (C, *spatial).
        shape: coarse voxels along each axis; the fine ones are a whole number of times as many.

    Returns:
        (C * factor ** n, *shape) for ``n`` axes.

    Raises:
        DataError: they are not.
    """
    if any(side % coarse for side, coarse in zip(fine.shape[1:], shape, strict=True)):
        raise DataError(
            f"A map of {tuple(fine.shape[1:])} voxels cannot be gathered on a grid of {tuple(shape)}: it must be a "
            "whole number of times finer."
        )
    axes = len(shape)
    parts = [(coarse, side // coarse) for side, coarse in zip(fine.shape[1:], shape, strict=True)]
    split = fine.reshape(fine.shape[0], *(length for part in parts for length in part))
    within, across = range(2, 2 * axes + 1, 2), range(1, 2 * axes, 2)
    return split.permute(0, *within, *across).reshape(-1, *shape)


class GuideByClassesd(MapTransform):
    """Appends the channels of a class map to an image, see :func:`class_channels`.

    A map on a finer grid, such as that of the label, is thinned out to the grid of the image, or gathered there.

    Args:
        keys: keys of images (C, *spatial).
        classes: their names, in the order of their numbers.
        semantic_key: key of the class map (1, *spatial).
        grey: one channel for all classes.
        detail: keep all voxels of a finer map, each with channels of its own, see :func:`gathered`.

    Raises:
        DataError: the record has no class map, or one with other classes, or with ``detail`` one that is not a whole
            number of times finer.
    """

    def __init__(
        self,
        keys: KeysCollection,
        classes: Sequence[str],
        semantic_key: str = "semantic",
        grey: bool = False,
        detail: bool = False,
    ) -> None:
        super().__init__(keys)
        self.classes = classes
        self.semantic_key = semantic_key
        self.grey = grey
        self.detail = detail

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its images guided."""
        if self.semantic_key not in data:
            raise DataError(f"There is no class map '{self.semantic_key}' to guide by: name its folder in 'folders'.")
        guided = dict(data)
        semantic = torch.as_tensor(data[self.semantic_key])
        for key in self.key_iterator(guided):
            image = torch.as_tensor(guided[key])
            shown = semantic if self.detail else resample(semantic, image.shape[1:], "nearest")
            channels = class_channels(shown, len(self.classes), self.grey)
            guided[key] = torch.cat([image, gathered(channels, image.shape[1:])])
        return guided


class GuideByMapd(MapTransform):
    """Appends a map of a quantity, such as depth, to an image as one more channel.

    A map on a finer grid, such as that of the label, is averaged over the voxels of the image.

    Args:
        keys: keys of images (C, *spatial).
        map_key: key of the map (1, *spatial), from -1 to 1 as greys are (see :class:`ScaleGreyd`).

    Raises:
        DataError: the record has no such map.
    """

    def __init__(self, keys: KeysCollection, map_key: str = "depth") -> None:
        super().__init__(keys)
        self.map_key = map_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its images guided."""
        if self.map_key not in data:
            raise DataError(f"There is no map '{self.map_key}' to guide by: name its folder in 'folders'.")
        guided = dict(data)
        for key in self.key_iterator(guided):
            image = torch.as_tensor(guided[key])
            quantity = resample(torch.as_tensor(data[self.map_key]), image.shape[1:], "area")
            guided[key] = torch.cat([image, quantity])
        return guided
