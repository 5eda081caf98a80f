"""The phases of a rock in images of greys, so that what compares class maps can judge them."""

from __future__ import annotations

import torch

from rockmonai.data.otsu import multi_otsu
from rockmonai.errors import DataError


class OtsuPhases:
    """Returns the class maps of greys and of their label, by thresholds that come from the label alone.

    Otsu's thresholds of each label (see :func:`rockmonai.data.multi_otsu`) divide it and the image that is judged
    alike: what is between two thresholds is one phase, the darkest is 0. An image whose greys are off is judged as one
    with the wrong phases, and no image has a say in how it is judged.

    Args:
        classes: how many phases, 2 or more.

    Shapes:
        two batches (B, 1, *spatial) of one shape to two of class numbers, int64; None for labels of fewer greys than
        classes, which show no phases.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def __call__(self, pred: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return the class maps of ``pred`` and of ``label``."""
        try:
            thresholds = [multi_otsu(image, self.classes) for image in label]
        except DataError:
            return None
        return _divided(pred, thresholds), _divided(label, thresholds)


def _divided(images: torch.Tensor, thresholds: list[list[float]]) -> torch.Tensor:
    """Return how many of its image's ``thresholds`` each grey reaches."""
    return torch.stack(
        [
            torch.bucketize(image.double(), image.new_tensor(limits, dtype=torch.float64), right=True)
            for image, limits in zip(images, thresholds, strict=True)
        ]
    )
