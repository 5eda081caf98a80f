"""A network that is guided by what another one, or a few thresholds, makes of the image itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import torch
from monai.networks.layers import Conv
from torch import nn

from rockmonai.errors import UsageError


class SelfGuided(nn.Module):
    """Returns what ``generator`` makes of an image and of the classes that ``segmentation`` tells apart in it.

    The map comes from the image alone: it can say no more than the image does, only say it in another way. The
    segmentation does not learn, and belongs to the weights.

    Args:
        generator: takes the image and a channel for each class, from -1 to 1, in one tensor, such as
            :class:`rockmonai.networks.SemSR`.
        segmentation: returns a logit for each class on the grid of the image.

    Shapes:
        ``(B, C, [Z,] Y, X)`` to what the generator returns.

    Attributes:
        multiple: sides of images are multiples of this, where the segmentation says of what.
    """

    def __init__(self, generator: nn.Module, segmentation: nn.Module) -> None:
        super().__init__()
        self.segmentation = segmentation.requires_grad_(False).eval()
        self.probabilities = nn.Softmax(1)
        self.generator = generator
        self.multiple: int | None = getattr(segmentation, "multiple", None)

    def train(self, mode: bool = True) -> SelfGuided:
        """Set the mode of the generator; the segmentation stays in evaluation mode."""
        super().train(mode)
        self.segmentation.eval()
        return self

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the generator's output for ``image``."""
        classes = 2 * self.probabilities(self.segmentation(image)) - 1
        return self.generator(torch.cat([image, classes], 1))


class Thresholds(nn.Module):
    """Returns logits of classes between grey thresholds, the greatest of which is the class of a voxel.

    With thresholds t_1 < t_2 < ... class k has the logit ``sharpness * (k x - t_1 - ... - t_k)``, which is above that
    of class k - 1 where x is above t_k. So thresholds are a convolution of a single voxel: they tile, export and load
    as all layers do.

    Args:
        classes: how many.
        thresholds: greys between them, one fewer, in ascending order, in [-1, 1]; None for those of the weights that
            are loaded.
        spatial_dims: 2 or 3.
        sharpness: how fast one class gives way to the next: at a distance of ``2 / sharpness`` from a threshold the
            nearer one has 88 %.

    Shapes:
        ``(B, 1, [Z,] Y, X)`` to ``(B, classes, [Z,] Y, X)``.

    Raises:
        UsageError: another number of thresholds, or not in ascending order; when called without any.
    """

    def __init__(
        self,
        classes: int,
        thresholds: Sequence[float] | None = None,
        spatial_dims: int = 2,
        sharpness: float = 100.0,
    ) -> None:
        super().__init__()
        if thresholds is None:
            thresholds = [math.nan] * (classes - 1)
        elif len(thresholds) != classes - 1 or sorted(set(thresholds)) != list(thresholds):
            raise UsageError(
                f"{classes} classes need {classes - 1} thresholds in ascending order, found {list(thresholds)}."
            )
        self.convolution = Conv[Conv.CONV, spatial_dims](1, classes, 1)
        with torch.no_grad():
            self.convolution.weight.flatten().copy_(sharpness * torch.arange(classes))
            self.convolution.bias.copy_(-sharpness * torch.tensor([0.0, *accumulate(thresholds)]))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of ``image``."""
        if not torch.jit.is_scripting() and bool(self.convolution.bias.isnan().any()):
            raise UsageError(
                "The thresholds between the classes have no values: give 'thresholds', or let "
                "rockmonai.data.otsu_thresholds find them in the training data."
            )
        return self.convolution(image)
