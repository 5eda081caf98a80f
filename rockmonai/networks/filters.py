"""The baselines that a network has to beat: one linear filter, alone or after a gamma curve."""

from __future__ import annotations

import torch
from torch import nn

from rockmonai.networks.layers import same_convolution


class LinearFilter(nn.Sequential):
    """Returns the image after one convolution: what a Wiener filter could do.

    It starts as the identity, so that training begins at the error of the input.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the kernel, odd.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)`` to ``(B, out_channels, [Z,] Y, X)``.

    Attributes:
        multiple: sides of images are multiples of this.
    """

    multiple = 1

    def __init__(self, spatial_dims: int = 2, in_channels: int = 1, out_channels: int = 1, kernel: int = 15) -> None:
        super().__init__(same_convolution(spatial_dims, in_channels, out_channels, kernel, padding_mode="zeros"))
        weight, bias = self.parameters()
        nn.init.dirac_(weight)
        nn.init.zeros_(bias)


class GammaFilter(nn.Sequential):
    """Returns the image after a learned `Gamma` curve and a `LinearFilter`; it starts as the identity.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input, images in [-1, 1]; they share one exponent.
        out_channels: channels of the output.
        kernel: side of the kernel, odd.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)`` to ``(B, out_channels, [Z,] Y, X)``.

    Attributes:
        multiple: sides of images are multiples of this.
    """

    multiple = 1

    def __init__(self, spatial_dims: int = 2, in_channels: int = 1, out_channels: int = 1, kernel: int = 15) -> None:
        super().__init__(Gamma(), LinearFilter(spatial_dims, in_channels, out_channels, kernel))


class Gamma(nn.Module):
    """Returns ``2 * ((x + 1) / 2) ** gamma - 1``: the greys of [-1, 1] on a curve from black to white.

    A power has no value where its base is negative, and greys in [-1, 1] are. They are therefore raised on the scale
    from 0 to 1, where anything darker than 0.00001 counts as that, and brought back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1))
        # Less than a level of a 16 bit image; at 0 itself, a power may have an infinite slope.
        self.darkest = 1e-5

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return ``image`` on the curve."""
        return 2 * ((image + 1) / 2).clamp(min=self.darkest) ** self.gamma - 1
