"""The judge of SRGAN: convolutions in the manner of VGG, then one logit for the whole image."""

from __future__ import annotations

from itertools import pairwise

import torch
from monai.networks.layers import Conv, Pool
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks.init import init_weights
from rockmonai.networks.layers import normalisation

STRIDES = (1, 2) * 4


class VGGDiscriminator(nn.Module):
    """Returns one logit for each image, the verdict on all of it: positive for real.

    Ledig et al., Photo-realistic single image super-resolution using a generative adversarial network,
    https://arxiv.org/abs/1609.04802, in two or three dimensions: eight convolutions, of which every second one halves
    the grid, and two dense layers. Unlike a :class:`~rockmonai.networks.PatchDiscriminator` it weighs what lies far
    apart.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the judged image, the condition's included.
        channels: channels of the first two convolutions; each further two double them, to ``8 * channels``.
        dense: channels of the first dense layer.
        norm: MONAI's name of the normalisation of all convolutions but the first, which all have a bias, too;
            ``"instance"`` or ``None`` under a gradient penalty, because batch norm mixes the samples that the penalty
            keeps apart.
        padding: surround every convolution's input with zeros, as published; without, images lose their border.
        image_size: side of all images. The dense layers then see every voxel of the last features, as published,
            with most of the weights in the first one; ``None`` shows them the mean instead, of images of any size.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)`` to ``(B, 1)``.

    Attributes:
        least_side: shortest side of an image: 16 voxels make one voxel of the last features, 61 without padding.

    Raises:
        UsageError: for images that are too small, or have another size than ``image_size``.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        channels: int = 64,
        dense: int = 1024,
        norm: str | tuple | None = "batch",
        padding: bool = True,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.least_side = 16 if padding else 61
        if image_size is not None and image_size < self.least_side:
            raise UsageError(self._too_small(f"image_size={image_size}"))
        widths = [in_channels, *(channels * 2**level for level in range(4) for _ in range(2))]
        self.features = nn.Sequential(
            *(
                nn.Sequential(
                    Conv[Conv.CONV, spatial_dims](inside, outside, 3, stride, int(padding)),
                    normalisation(norm if number else None, spatial_dims, outside),
                    nn.LeakyReLU(0.2),
                )
                for number, ((inside, outside), stride) in enumerate(zip(pairwise(widths), STRIDES, strict=True))
            )
        )
        voxels = 1 if image_size is None else last_side(image_size, padding) ** spatial_dims
        self.head = nn.Sequential(
            Pool[Pool.ADAPTIVEAVG, spatial_dims](1) if image_size is None else nn.Identity(),
            nn.Flatten(),
            nn.Linear(widths[-1] * voxels, dense),
            nn.LeakyReLU(0.2),
            nn.Linear(dense, 1),
        )
        # Across ten layers without a norm, the usual small weights would fade every image to the same logit.
        init_weights(self, "normal" if norm else "kaiming")

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logit of each ``image``."""
        if not torch.jit.is_scripting():
            self._check(image)
        return self.head(self.features(image))

    def _check(self, image: torch.Tensor) -> None:
        sides = " x ".join(map(str, image.shape[2:]))
        if min(image.shape[2:]) < self.least_side:
            raise UsageError(self._too_small(sides))
        if self.image_size is not None and set(image.shape[2:]) != {self.image_size}:
            raise UsageError(
                f"This VGGDiscriminator was built for images of {self.image_size} voxels a side, found {sides}: "
                "use such patches, or image_size=null for images of any size."
            )

    def _too_small(self, found: str) -> str:
        return (
            f"This VGGDiscriminator judges images of {self.least_side} voxels a side or more, found {found}: "
            "use larger patches, or a PatchDiscriminator."
        )


def last_side(side: int, padding: bool) -> int:
    """Return the side of the last features of an image of ``side`` voxels."""
    for stride in STRIDES:
        side = (side + 2 * padding - 3) // stride + 1
    return side
