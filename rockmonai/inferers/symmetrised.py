"""A network that is asked about an image from all sides, and gives the mean of its answers."""

from __future__ import annotations

import math

import torch
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.inferers.pieces import Piece
from rockmonai.transforms.symmetry import Symmetry, symmetries, transformed


class Symmetrised(nn.Module):
    """Returns log-probabilities, the mean of a network's probabilities over the symmetries of the square.

    The image is turned and mirrored in all 8 ways, the probabilities are turned back: the result turns with the image.
    A volume is mirrored along its axes alone, in 8 ways as well; 48 would take six times as long. It takes as long as
    8 passes, and the memory of one.

    Args:
        network: returns two logits or more for each voxel, in evaluation mode.
        spatial_dims: of the network, 2 or 3.

    Shapes:
        ``(B, C, [Z,] Y, X)`` to ``(B, classes, [Z,] Y, X)``, with the sides that the network accepts, each of them
        along any axis.

    Attributes:
        multiple: sides of images are multiples of this, where the network says of what.

    Raises:
        UsageError: when called, if the network returns a single channel.
    """

    def __init__(self, network: nn.Module, spatial_dims: int = 2) -> None:
        super().__init__()
        self.network = network
        self.multiple: int | None = getattr(network, "multiple", None)
        # Those of a cube whatever the image: each block must be seen from the sides that the whole is seen from.
        self.group = symmetries([(1,) * spatial_dims], flips_only=spatial_dims == 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities of the classes in ``image``."""
        total: torch.Tensor | None = None
        for symmetry in self.group:
            answer = turned(log_probabilities(self.network(turned(image, symmetry))), symmetry.inverse())
            total = answer if total is None else torch.logaddexp(total, answer)
        assert total is not None
        return total - math.log(len(self.group))


def log_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Return the log-probabilities (B, C, *spatial) of the classes, float32.

    Raises:
        UsageError: for a single class, which is certain whatever its logit.
    """
    if logits.shape[1] < 2:
        raise UsageError("Probabilities are averaged over symmetries for networks of 2 classes or more, found 1 logit.")
    return logits.float().log_softmax(1)


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
