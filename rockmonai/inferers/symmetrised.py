"""A network that is asked about an image from all sides, and gives the mean of its answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

import torch
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.inferers.pieces import Piece
from rockmonai.transforms.symmetry import Symmetry, symmetries, transformed


def log_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Return the log-probabilities (B, C, *spatial) of the classes, float32.

    Raises:
        UsageError: for a single class, which is certain whatever its logit.
    """
    if logits.shape[1] < 2:
        raise UsageError("Probabilities are averaged over symmetries for networks of 2 classes or more, found 1 logit.")
    return logits.float().log_softmax(1)


class Mean(NamedTuple):
    """What each answer is brought to, how two of these are added, and what is made of the sum of n."""

    seen: Callable[[torch.Tensor], torch.Tensor]
    add: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    of_sum: Callable[[torch.Tensor, int], torch.Tensor]


OF_CLASSES = Mean(log_probabilities, torch.logaddexp, lambda total, n: total - math.log(n))
OF_GREYS = Mean(torch.Tensor.float, torch.add, lambda total, n: total / n)


class Symmetrised(nn.Module):
    """Returns the mean of a network's answers over the symmetries of the square: greys, or log-probabilities.

    The image is turned and mirrored in all 8 ways, the answers are turned back: the result turns with the image. The
    mean of greys is known as the geometric self-ensemble (Lim et al., https://arxiv.org/abs/1707.02921), that of
    classes is of their probabilities. A volume is mirrored along its axes alone, in 8 ways as well; 48 would take six
    times as long. It takes as long as 8 passes, and the memory of one.

    Args:
        network: in evaluation mode.
        spatial_dims: of the network, 2 or 3.
        classes: the network returns two logits or more for each voxel; False for greys.

    Shapes:
        ``(B, C, [Z,] Y, X)`` to ``(B, channels, [scale Z,] scale Y, scale X)``, float32, with the sides that the
        network accepts, each of them along any axis.

    Attributes:
        multiple: sides of images are multiples of this, where the network says of what.

    Raises:
        UsageError: when called, if a network of ``classes`` returns a single channel.
    """

    def __init__(self, network: nn.Module, spatial_dims: int = 2, classes: bool = True) -> None:
        super().__init__()
        self.network = network
        self.multiple: int | None = getattr(network, "multiple", None)
        # Those of a cube whatever the image: each block must be seen from the sides that the whole is seen from.
        self.group = symmetries([(1,) * spatial_dims], flips_only=spatial_dims == 3)
        self.mean = OF_CLASSES if classes else OF_GREYS

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the mean for ``image``."""
        answers = (
            turned(self.mean.seen(self.network(turned(image, symmetry))), symmetry.inverse()) for symmetry in self.group
        )
        return self.mean.of_sum(reduce(self.mean.add, answers), len(self.group))


def turned(image: torch.Tensor, symmetry: Symmetry) -> torch.Tensor:
    """Return ``image`` (B, C, *spatial) after ``symmetry``."""
    return transformed(image.flatten(0, 1), symmetry).unflatten(0, image.shape[:2])


def turned_piece(piece: Piece, symmetry: Symmetry) -> Piece:
    """Return the same piece of the whole after ``symmetry``."""
    ends = zip(piece.start, piece.stop, piece.whole, strict=True)
    begins = [(start, whole - stop) for start, stop, whole in ends]
    return Piece(
        turned(piece.values, symmetry),
        tuple(begins[axis][flip] for axis, flip in zip(*symmetry, strict=True)),
        tuple(piece.whole[axis] for axis in symmetry.axes),
    )
