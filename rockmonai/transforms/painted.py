"""Class maps from labels that were painted: the image itself, with each class covered by its own colour."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from rockmonai.errors import DataError, UsageError


def painted_classes(
    painting: torch.Tensor,
    image: torch.Tensor | None,
    colours: Sequence[Sequence[int]],
    tolerance: int = 8,
) -> torch.Tensor:
    """Return the class of every voxel (1, *spatial), int64: ``k`` where the k-th colour was painted, 0 elsewhere.

    A colour was painted where the painting shows it and the image does not: a natural black pixel is no black paint.
    Programs and palettes move colours a little, which ``tolerance`` allows for. Where two colours are as near, the
    later one wins.

    Args:
        painting: red, green and blue, (3, *spatial).
        image: the greys that were painted over, (1, *spatial), in the painting's dtype; ``None`` takes every voxel of a
            class's colour for paint.
        colours: red, green and blue of classes 1, 2, ...
        tolerance: greatest difference from a colour in any of its channels.

    Raises:
        DataError: the painting has not three channels, or the image another size or dtype.
    """
    if len(painting) != 3:
        raise DataError(f"A label painted in colours has 3 channels, found {len(painting)}: save it as RGB.")
    if image is not None and (image.shape[1:], image.dtype) != (painting.shape[1:], painting.dtype):
        raise DataError(
            f"The painted label has {tuple(painting.shape[1:])} voxels of {_named(painting)} and its image "
            f"{tuple(image.shape[1:])} of {_named(image)}, so that paint cannot be told from greys: convert the image "
            "to the type that was painted over, or give a label of class numbers."
        )
    rgb = painting.to(torch.int32)
    classes = torch.zeros_like(rgb[:1], dtype=torch.int64)
    for number, colour in enumerate(colours, start=1):
        paint = rgb.new_tensor(colour).view(3, *[1] * (rgb.ndim - 1))
        classes[((rgb - paint).abs() <= tolerance).all(0, keepdim=True)] = number
    if image is not None:
        classes[(painting == image).all(0, keepdim=True)] = 0
    return classes


def _named(values: torch.Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")


class ColoursToClassesd(MapTransform):
    """Turns labels that are the image painted over in class colours into class maps, see :func:`painted_classes`.

    A label with a single channel holds the numbers of classes already. Labels are opened with ``grey="keep"``, images
    with ``"luma"`` or ``"strict"``, and both as they are on disk: the greys of the image are scaled afterwards. What is
    not read yet stays so: a lazy label becomes a lazy class map, for whatever cuts windows from it.

    Args:
        keys: keys of labels (3, *spatial) or (1, *spatial); they become (1, *spatial) int64.
        colours: red, green and blue of classes 1, 2, ..., as in ``[[255, 0, 0], [0, 255, 0]]``; what has none of these
            is class 0.
        image_key: key of the image that was painted over; ``None`` to go by the colours alone.
        tolerance: greatest difference from a colour in any of its channels.
        allow_missing_keys: leave out keys that a record does not have.

    Raises:
        DataError: the label fits neither the image nor the number of classes.
        UsageError: a colour is not three numbers.
    """

    def __init__(
        self,
        keys: KeysCollection,
        colours: Sequence[Sequence[int]],
        image_key: str | None = "image",
        tolerance: int = 8,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        wrong = [colour for colour in colours if len(colour) != 3]
        if wrong:
            raise UsageError(f"The colour {wrong[0]} is not [red, green, blue]: give three numbers for each class.")
        self.colours = colours
        self.image_key = image_key
        self.tolerance = tolerance

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with the class maps of its labels."""
        read = dict(data)
        image = None if self.image_key is None else data[self.image_key]
        for key in self.key_iterator(read):
            eager = isinstance(read[key], np.ndarray | torch.Tensor)
            read[key] = self.classes(read[key], image) if eager else LazyClasses(read[key], image, self.classes)
        return read

    def classes(self, label: Any, image: Any) -> torch.Tensor:
        """Return the class map of an array or tensor, with the image that was painted over."""
        label = torch.as_tensor(label)
        if len(label) == 1:
            return _numbered(label, len(self.colours))
        return painted_classes(label, None if image is None else torch.as_tensor(image), self.colours, self.tolerance)


class LazyClasses:
    """The class map (1, *spatial) of a label on disk; slicing reads what is asked of it and of its image."""

    def __init__(self, label: Any, image: Any, classes: Callable[[Any, Any], torch.Tensor]) -> None:
        self.path, self.shape = label.path, (1, *label.shape[1:])
        self._label, self._image, self._classes = label, image, classes

    def __getitem__(self, index: tuple[slice, ...], /) -> torch.Tensor:
        image = None if self._image is None else self._image[index]
        return self._classes(self._label[index], image)


def _numbered(label: torch.Tensor, last: int) -> torch.Tensor:
    """Return a label of class numbers as int64."""
    classes = label.to(torch.int64)
    least, greatest = int(classes.min()), int(classes.max())
    if least < 0 or greatest > last:
        raise DataError(
            f"A label of one channel holds class numbers, here from 0 to {last}, but it has the value "
            f"{least if least < 0 else greatest}: give it class numbers, or paint its classes in colours and open it "
            'with grey="keep".'
        )
    return classes
