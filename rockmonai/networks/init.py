"""How the weights of image-to-image networks start."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from rockmonai.errors import UsageError, did_you_mean

KINDS = {
    "normal": lambda weight, gain: nn.init.normal_(weight, 0.0, gain),
    "xavier": lambda weight, gain: nn.init.xavier_normal_(weight, gain),
    "kaiming": lambda weight, gain: nn.init.kaiming_normal_(weight, mode="fan_in"),
    "orthogonal": lambda weight, gain: nn.init.orthogonal_(weight, gain),
}


def init_weights(module: nn.Module, kind: str = "normal", gain: float = 0.02) -> None:
    """Draw the weights of all convolutions, linear layers and batch norms of ``module`` anew, in place.

    Biases become 0. Batch norm starts as a scale of N(1, ``gain``) and a shift of 0. Other layers, such as PReLU or
    instance norm, keep the values they were built with.

    Args:
        module: the network.
        kind: ``"normal"``, N(0, ``gain``), as in pix2pix (arXiv 1611.07004); ``"xavier"``, ``"kaiming"`` or
            ``"orthogonal"``.
        gain: standard deviation of ``"normal"``, factor of ``"xavier"`` and ``"orthogonal"``; ``"kaiming"`` needs none.

    Raises:
        UsageError: for an unknown ``kind``.
    """
    if kind not in KINDS:
        raise UsageError(f"Weights can start as {', '.join(KINDS)}, not as '{kind}'{did_you_mean(kind, KINDS)}.")
    for layer in module.modules():
        if isinstance(layer, _ConvNd | nn.Linear):
            KINDS[kind](layer.weight, gain)
        elif isinstance(layer, _BatchNorm) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, gain)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
