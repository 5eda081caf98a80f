"""How much an image has to be magnified to show its rock at the pixel size that a network knows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from monai.transforms import Transform

from rockmonai.errors import DataError, UsageError

# Beyond this an image shows other things than those that the network has learnt.
_MOST = 8.0


def magnification(spacing: Sequence[float] | None, pixel_size: float | None) -> float:
    """Return how many pixels of ``pixel_size`` there are along a pixel of an image: above 1 where it has to grow.

    Args:
        spacing: micrometres along (z,) y, x, of which the last counts; ``None`` where it is not known: then 1.
        pixel_size: in micrometres; ``None`` for images that are taken as they are: then 1.

    Raises:
        UsageError: the pixel size is not positive.
        DataError: it differs from that of the image by more than a factor of 8.
    """
    if pixel_size is None or spacing is None:
        return 1.0
    if not pixel_size > 0:
        raise UsageError(f"pixel_size is {pixel_size}; give micrometres above 0, or null.")
    factor = spacing[-1] / pixel_size
    if not 1 / _MOST <= factor <= _MOST:
        raise DataError(
            f"The image has pixels of {spacing[-1]:.4g} µm, {factor:.3g} times the {pixel_size:g} µm that the network "
            "knows: pass --pixel_size null to take it as it is, or the size that the network was trained at."
        )
    return factor


class Magnificationd(Transform):
    """Notes the :func:`magnification` of an image on disk, before it is read.

    Micrographs of one rock are taken at many magnifications, and a network that has to know a pore at all of them
    needs more images than there are.

    Args:
        pixel_size: in micrometres; ``None`` for images that are taken as they are.
        key: key of the lazy image.
        output: key of the number.

    Raises:
        UsageError: the pixel size is not positive.
    """

    def __init__(self, pixel_size: float | None, key: Hashable = "image", output: Hashable = "magnification") -> None:
        self.pixel_size = pixel_size
        self.key = key
        self.output = output

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with the number."""
        return {**data, self.output: magnification(getattr(data[self.key], "spacing", None), self.pixel_size)}
