"""The judges of adversarial training: one logit per patch (PatchGAN) or per pixel (PixelGAN)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from monai.networks import nets
from monai.networks.layers import Conv
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks.init import init_weights
from rockmonai.networks.layers import bias_before, normalisation


class PatchDiscriminator(nn.Sequential):
    """Returns a map of logits, each the verdict on one patch of the image: positive for real.

    The layers, and the state dict, of MONAI's PatchDiscriminator in the layout of pix2pix (Isola et al.,
    https://arxiv.org/abs/1611.07004); only the last one answers. With ``layers=3`` a logit sees 70 voxels per axis.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the judged image, the condition's included.
        channels: channels of the first layer; each further layer doubles them.
        layers: number of normalised layers. With ``n`` of them a logit needs ``3 * 2 ** n`` voxels per axis.
        norm: MONAI's name of the normalisation; ``"instance"`` or ``None`` under a gradient penalty, because batch
            norm mixes the samples that the penalty keeps apart.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)`` to ``(B, 1, [Z',] Y', X')`` with ``Y' = Y // 2 ** layers - 2``.

    Raises:
        UsageError: when called with an image that is smaller than one patch.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        channels: int = 64,
        layers: int = 3,
        norm: str | tuple | None = "batch",
    ) -> None:
        network = nets.PatchDiscriminator(
            spatial_dims,
            channels,
            in_channels,
            num_layers_d=layers,
            norm=norm,  # type: ignore[arg-type]  # it takes None, too
            bias=bias_before(norm),
        )
        super().__init__(OrderedDict(network.named_children()))
        self.least_side = 3 * 2**layers
        init_weights(self)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of ``image``."""
        if not torch.jit.is_scripting():
            self._check(image)
        for layer in self:
            image = layer(image)
        return image

    def _check(self, image: torch.Tensor) -> None:
        if min(image.shape[2:]) < self.least_side:
            raise UsageError(
                f"This PatchDiscriminator judges patches of {self.least_side} voxels a side or more, "
                f"found {' x '.join(map(str, image.shape[2:]))}: use larger patches or fewer layers."
            )


class PixelDiscriminator(nn.Sequential):
    """Returns one logit per pixel, which sees nothing but that pixel: a judge of grey values, not of texture.

    The 1 x 1 PixelGAN of Isola et al., https://arxiv.org/abs/1611.07004.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the judged image, the condition's included.
        channels: channels of the first layer; the second has twice as many.
        norm: MONAI's name of the normalisation; ``None`` for none.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)`` to ``(B, 1, [Z,] Y, X)``.
    """

    def __init__(
        self, spatial_dims: int = 2, in_channels: int = 1, channels: int = 64, norm: str | tuple | None = "batch"
    ) -> None:
        convolution = Conv[Conv.CONV, spatial_dims]
        bias = bias_before(norm)
        super().__init__(
            convolution(in_channels, channels, 1),
            nn.LeakyReLU(0.2),
            convolution(channels, 2 * channels, 1, bias=bias),
            normalisation(norm, spatial_dims, 2 * channels),
            nn.LeakyReLU(0.2),
            convolution(2 * channels, 1, 1, bias=bias),
        )
        init_weights(self)
