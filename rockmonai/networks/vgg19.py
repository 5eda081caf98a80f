"""The convolutions of VGG-19, whose features tell images apart more as people do than their grey values."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rockmonai.errors import ModelError, UsageError, did_you_mean, first_line

_WIDTHS, _DEPTHS = (64, 128, 256, 512, 512), (2, 2, 4, 4, 4)

LAYERS = tuple(
    name
    for block, depth in enumerate(_DEPTHS, start=1)
    for name in (*(f"{kind}{block}_{n}" for n in range(1, depth + 1) for kind in ("conv", "relu")), f"pool{block}")
)
"""Names of the layers, conv1_1, relu1_1 ... pool5, in the order in which they are applied."""

_FETCH = "fetch them with 'curl -LO https://download.pytorch.org/models/vgg19-dcbb9e9d.pth' and give the file's path"


class VGG19Features(nn.Module):
    """Returns what one layer of VGG-19 makes of an image.

    Simonyan, Zisserman, Very deep convolutional networks for large-scale image recognition,
    https://arxiv.org/abs/1409.1556. The layers after ``layer`` are left out. Parameters are named as in torchvision,
    ``features.0.weight``; all 16 convolutions have 20,024,384 of them. To apply the published weights see
    :func:`read_vgg19`.

    Args:
        layer: the last one, such as ``"conv5_4"`` (before its rectifier), ``"relu5_4"`` or ``"pool5"``.

    Shapes:
        ``(B, 3, Y, X)`` to ``(B, C, Y / s, X / s)``, with ``s`` doubled and rounded down by each pooling.

    Attributes:
        smallest: images have sides of this or more.

    Raises:
        UsageError: for an unknown layer; when called with a smaller image.
    """

    def __init__(self, layer: str = "conv5_4") -> None:
        super().__init__()
        if layer not in LAYERS:
            raise UsageError(
                f"VGG-19 has no layer '{layer}'{did_you_mean(layer, LAYERS)}: choose one of conv1_1, relu1_1 ... pool5."
            )
        names = LAYERS[: LAYERS.index(layer) + 1]
        self.layer = layer
        self.smallest = 2 ** sum(name.startswith("pool") for name in names)
        self.features = nn.Sequential(*map(_layer, names))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the features of ``image``."""
        if min(image.shape[2:]) < self.smallest:
            raise UsageError(
                f"VGG-19 up to {self.layer} sees images of {self.smallest} x {self.smallest} pixels or more, found "
                f"{' x '.join(map(str, image.shape[2:]))}: enlarge patch_size, or choose an earlier layer."
            )
        features: torch.Tensor = self.features(image)
        return features


def _layer(name: str) -> nn.Module:
    kind, block = name[:4], int(name[4]) - 1
    if kind == "relu":
        return nn.ReLU(inplace=True)
    if kind == "pool":
        return nn.MaxPool2d(2)
    before = _WIDTHS[block] if not name.endswith("_1") else (3, *_WIDTHS)[block]
    return nn.Conv2d(before, _WIDTHS[block], 3, padding=1)


def read_vgg19(weights: str | Path | None, layer: str = "conv5_4") -> VGG19Features:
    """Return VGG-19 up to ``layer`` with trained weights, frozen, in evaluation mode, on the CPU.

    Only tensors and plain values are unpickled. No random number is drawn.

    Args:
        weights: a state dict with torchvision's names; its ``classifier`` is ignored, and layers after ``layer`` may be
            absent.
        layer: the last layer.

    Raises:
        UsageError: without a file, or for an unknown layer.
        ModelError: if the file cannot be read, or holds another network; the sentence shows the first difference.
    """
    with torch.device("meta"):  # no memory, no random weights: all of them come from the file
        network, whole = VGG19Features(layer), VGG19Features(LAYERS[-1])
    content = _read(weights)
    own, known = network.state_dict(), whole.state_dict()
    given = {name: tensor for name, tensor in content.items() if name.startswith("features.")}
    for name in {**own, **given}:
        expected, found = _shape(known.get(name)), _shape(given.get(name))
        if expected != found:
            raise ModelError(
                f"{weights} holds no weights of VGG-19: '{name}' is {found} in the file and {expected} in the network; "
                f"{_FETCH}."
            )
    network.load_state_dict({name: given[name] for name in own}, assign=True)
    return network.float().eval().requires_grad_(False)


def _read(weights: str | Path | None) -> Mapping[str, Any]:
    if weights is None or not Path(weights).is_file():
        found = "no file was named" if weights is None else f"there is no file {weights}"
        raise UsageError(f"The VGG feature loss needs the trained weights of VGG-19, but {found}: {_FETCH}.")
    try:
        content = torch.load(weights, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ModelError(
            f"{weights} cannot be read as the weights of VGG-19 ({first_line(error)}): {_FETCH}."
        ) from error
    if not isinstance(content, Mapping):
        raise ModelError(f"{weights} holds a {type(content).__name__}, not the weights of VGG-19: {_FETCH}.")
    return content


def _shape(tensor: Any) -> str:
    return f"of shape {tuple(tensor.shape)}" if isinstance(tensor, torch.Tensor) else "absent"
