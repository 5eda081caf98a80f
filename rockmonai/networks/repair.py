"""The repair of charging artefacts: a network's prediction where the image is charged, the image itself elsewhere."""

from __future__ import annotations

import torch
from torch import nn


class Repair(nn.Module):
    """Returns an image whose charged voxels are those that ``generator`` predicts; all others stay as they are.

    Anderson, Vega and Kovscek, Multimodal imaging and machine learning to enhance microscope images of shale,
    https://doi.org/10.1016/j.cageo.2020.104593. Only the charged voxels learn: no gradient comes from the others.

    Args:
        generator: maps the three channels of the input to one of the same size, in two or three dimensions.

    Shapes:
        ``(B, 3, [Z,] Y, X)``, a guide, the charged image and its mask (above 0 where charged), as
        :class:`rockmonai.transforms.PaintCharged` makes them, to ``(B, 1, [Z,] Y, X)``.

    Attributes:
        multiple: sides of images are multiples of this, where the generator says of what.
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator
        self.multiple: int | None = getattr(generator, "multiple", None)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the second channel of ``image``, repaired where the third is above 0."""
        damaged, mask = image[:, 1:2], image[:, 2:3]
        # A product, not a choice: what the generator reads must stay visible to who measures it with NaN.
        return (mask > 0) * self.generator(image) + (mask <= 0) * damaged
