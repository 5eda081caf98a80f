from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rockmonai.errors import DataError
from rockmonai.losses import FourierLoss, fourier_loss


@pytest.mark.parametrize("shape", [(2, 1, 6, 9), (2, 3, 5, 12), (1, 2, 4, 6, 7)])
@pytest.mark.parametrize("amplitude", [False, True])
def test_is_the_mean_difference_of_numpys_spectra(shape, amplitude):
    pred, label = np.random.default_rng(0).uniform(-1, 1, (2, *shape)).astype(np.float32)
    spectra = [np.fft.rfftn(x, axes=range(2, len(shape)), norm="ortho") for x in (pred, label)]
    expected = np.abs(np.subtract(*map(np.abs, spectra) if amplitude else spectra)).mean()
    found = FourierLoss(amplitude)(torch.from_numpy(pred), torch.from_numpy(label))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_one_cosine_is_one_frequency():
    rows, columns, height = 10, 24, 0.3
    wave = height * torch.cos(2 * math.pi * 5 * torch.arange(columns) / columns).expand(1, 1, rows, columns)
    one = height * math.sqrt(rows * columns) / 2  # the other half is its mirror image
    expected = one / (rows * (columns // 2 + 1))
    assert fourier_loss(wave, torch.zeros_like(wave)).item() == pytest.approx(expected, rel=1e-4)


def test_the_amplitudes_do_not_see_a_cyclic_shift():
    label = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    shifted = label.roll((3, 5), (2, 3))
    assert fourier_loss(shifted, label, amplitude=True).item() == pytest.approx(0, abs=1e-6)
    assert fourier_loss(shifted, label).item() > 0.1


@pytest.mark.parametrize("amplitude", [False, True])
def test_the_gradient_is_finite_where_nothing_differs(amplitude):
    pred = torch.zeros(1, 1, 8, 8, requires_grad=True)
    fourier_loss(pred, torch.zeros(1, 1, 8, 8), amplitude).backward()
    assert torch.equal(pred.grad, torch.zeros(1, 1, 8, 8))


def test_descending_it_finds_the_label():
    label = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    pred = torch.zeros_like(label)
    for _ in range(200):
        (slope,) = torch.autograd.grad(fourier_loss(pred.requires_grad_(), label), pred)
        pred = pred.detach() - slope
    torch.testing.assert_close(pred, label, atol=0.05, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_of_any_size_gives_a_full_precision_loss(dtype):
    pred = torch.rand(1, 1, 6, 10).to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        loss = fourier_loss(pred, torch.zeros(1, 1, 6, 10))
    assert loss.item() == fourier_loss(pred.float(), torch.zeros(1, 1, 6, 10)).item()
    assert loss.dtype == torch.float32


def test_images_of_two_sizes_are_refused():
    with pytest.raises(DataError, match="of one shape"):
        fourier_loss(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 1, 8))
