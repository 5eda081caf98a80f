"""How far a way there and back leads from where it began: a map of what a pair of generators lose or invent."""

from __future__ import annotations

import torch
from torch import nn


class CycleError(nn.Module):
    """Returns by how much each voxel of an image differs from what a CycleGAN makes of it, there and back.

    Cycle consistency (Zhu et al., https://arxiv.org/abs/1703.10593) holds where the difference is small. Where it is
    large, the prediction has lost or invented something; where it is small, the prediction may still be wrong, if both
    networks agree on it.

    Args:
        network: from images to labels.
        reverse_network: from labels to images.

    Shapes:
        ``(B, C, [Z,] Y, X)`` to the same: -1 for no difference, 1 for the whole range from -1 to 1, so that it is
        written in the grey levels of the image, black for none.
    """

    def __init__(self, network: nn.Module, reverse_network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.reverse_network = reverse_network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the map of ``image``."""
        return (self.reverse_network(self.network(image)) - image).abs() - 1
