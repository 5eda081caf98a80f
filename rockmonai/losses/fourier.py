"""Comparing images by their frequencies instead of their voxels."""

from __future__ import annotations

import torch
from torch import nn

from rockmonai.metrics.per_image import check_same_shape


def fourier_loss(pred: torch.Tensor, label: torch.Tensor, amplitude: bool = False) -> torch.Tensor:
    r"""Return the mean absolute difference of two spectra, a scalar.

    .. math:: L = \left\langle \left| F(pred) - F(label) \right| \right\rangle
              \quad \text{or} \quad
              L = \left\langle \big| |F(pred)| - |F(label)| \big| \right\rangle

    with the orthonormal discrete Fourier transform :math:`F` over the spatial axes and the mean over batch, channels
    and the non-redundant half of the frequencies. White noise costs about as much as in an L1 loss, so that the
    weights of both can be compared; a single wave costs far less, for it is but one of the frequencies. An image counts
    as periodic. Related to Fuoli, Van Gool, Timofte, Fourier space losses for efficient perceptual image
    super-resolution, https://arxiv.org/abs/2106.00783, who compare amplitudes and phases and add a discriminator of
    spectra; https://arxiv.org/abs/2012.12821 weighs the frequencies that are hard to learn more.

    Args:
        pred: images or volumes (B, C, [Z,] Y, X).
        label: what they should be, same shape.
        amplitude: compare how strong the frequencies are but not where their waves lie: cyclic shifts cost nothing.

    Raises:
        DataError: for unequal shapes.
    """
    check_same_shape(pred, label)
    if amplitude:
        return (_spectrum(pred.float()).abs() - _spectrum(label.float()).abs()).abs().mean()
    return _spectrum(pred.float() - label.float()).abs().mean()


def _spectrum(images: torch.Tensor) -> torch.Tensor:
    """Return the orthonormal transform of float32 images; half precision has one for powers of two alone, on GPUs."""
    return torch.fft.rfftn(images, dim=tuple(range(2, images.ndim)), norm="ortho")


class FourierLoss(nn.Module):
    """:func:`fourier_loss` as a loss of ``(pred, label)``.

    Args:
        amplitude: compare how strong the frequencies are but not where their waves lie.
    """

    def __init__(self, amplitude: bool = False) -> None:
        super().__init__()
        self.amplitude = amplitude

    def forward(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar."""
        return fourier_loss(pred, label, self.amplitude)
