"""The perceptual loss: a prediction shall look like its label to VGG-19, not match it grey value by grey value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from torch import nn
from torch.nn import functional as F

from rockmonai.errors import DataError, UsageError
from rockmonai.networks.vgg19 import VGG19Features, read_vgg19

_AXES = {"z": 2, "y": 3, "x": 4}
# Mean and standard deviation of the photographs that VGG-19 was trained on, of red, green and blue in [0, 1].
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def vgg_feature_loss(
    pred: torch.Tensor,
    label: torch.Tensor,
    network: Callable[[torch.Tensor], torch.Tensor],
    axes: str = "zyx",
    step: int = 1,
) -> torch.Tensor:
    """Return the mean squared difference of the features that ``network`` sees in ``pred`` and ``label``, a scalar.

    Ledig et al., Photo-realistic single image super-resolution using a generative adversarial network,
    https://arxiv.org/abs/1609.04802. Volumes are looked at slice by slice, along several axes in turn; each axis counts
    alike. Computes in float32, whatever the precision around it.

    Args:
        pred: greys in [-1, 1], (B, C, [Z,] Y, X), with 1 channel, shown as red, green and blue, or those 3.
        label: of the same shape; no gradient flows into it.
        network: maps images (B, 3, Y, X), normalised as photographs, to features.
        axes: those that slices of volumes are perpendicular to, some of ``"zyx"``.
        step: take every so many slices of volumes.

    Raises:
        DataError: for another number of channels.
    """
    distances = []
    with torch.autocast(pred.device.type, enabled=False):
        for seen, wanted in zip(_images(pred, axes, step), _images(label, axes, step), strict=True):
            with torch.no_grad():
                target = network(_as_photograph(wanted))
            distances.append(F.mse_loss(network(_as_photograph(seen)), target))
    return torch.stack(distances).mean()


def _images(greys: torch.Tensor, axes: str, step: int) -> Iterator[torch.Tensor]:
    """Yield a batch of images as it is, or of volumes the slices perpendicular to each axis in turn."""
    # Metadata of volumes says nothing of their slices.
    greys = greys.as_subclass(torch.Tensor)
    if greys.ndim == 4:
        yield greys
        return
    for axis in axes:
        slices = greys.movedim(_AXES[axis], 1)
        # The first slice of all lies on a face of the volume: begin amid the first step.
        yield slices[:, min(step, slices.shape[1]) // 2 :: step].flatten(0, 1)


def _as_photograph(greys: torch.Tensor) -> torch.Tensor:
    if greys.shape[1] not in (1, 3):
        raise DataError(f"VGG-19 sees images of 1 or 3 channels, found {greys.shape[1]}: give the loss a weight of 0.")
    mean, deviation = (torch.tensor(values, device=greys.device).view(3, 1, 1) for values in (_MEAN, _DEVIATION))
    return ((greys.float() + 1) / 2 - mean) / deviation


class VGGFeatureLoss(nn.Module):
    """:func:`vgg_feature_loss` as a loss of ``(pred, label)``, with trained weights from a local file.

    The file is read when it is first needed: never for a :class:`~rockmonai.losses.LossTerm` of weight 0, else before
    the training begins. The network belongs to no state dict and no optimiser.

    Args:
        weights: a state dict with torchvision's names, such as ``vgg19-dcbb9e9d.pth`` from
            ``https://download.pytorch.org/models``.
        layer: what is compared, ``"conv5_4"`` as published, before its rectifier; earlier layers see finer texture
            (see :data:`rockmonai.networks.vgg19.LAYERS`).
        axes: those that slices of volumes are perpendicular to, some of ``"zyx"``.
        step: take every so many slices of volumes; cost falls with it.

    Raises:
        UsageError: for other axes, or no step; when needed, without a file or for an unknown layer.
        ModelError: when needed, if the file cannot be read or holds another network.
    """

    def __init__(self, weights: str | None = None, layer: str = "conv5_4", axes: str = "zyx", step: int = 1) -> None:
        super().__init__()
        if not axes or set(axes) - set(_AXES):
            raise UsageError(f"Slices are perpendicular to some of the axes 'zyx', found {axes!r}.")
        if step < 1:
            raise UsageError(f"The VGG feature loss takes every slice (step 1) or every so many, found step {step}.")
        self.weights, self.layer, self.axes, self.step = weights, layer, axes, step

    @cached_property
    def network(self) -> VGG19Features:
        """VGG-19 up to the layer; cached beside the submodules, not among them, so that no state dict holds it."""
        return read_vgg19(self.weights, self.layer)

    def check(self) -> None:
        """Read the weights now, or tell what is wrong with them."""
        _ = self.network

    def forward(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar."""
        return vgg_feature_loss(pred, label, self.network.to(pred.device), self.axes, self.step)
