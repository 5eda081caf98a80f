from __future__ import annotations

import math

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from rockmonai.errors import DataError
from rockmonai.metrics import psnr


@pytest.mark.parametrize("shape", [(3, 1, 20, 24), (2, 2, 8, 9, 10)])
def test_agrees_with_scikit_image(shape):
    torch.manual_seed(0)
    pred, label = torch.rand(2, *shape)
    expected = [peak_signal_noise_ratio(b.numpy(), a.numpy(), data_range=2) for a, b in zip(pred, label, strict=True)]
    assert psnr(pred, label).tolist() == pytest.approx(expected, abs=1e-4)


def test_bytes_do_not_wrap():
    pred, label = torch.full((1, 1, 4, 4), 10, dtype=torch.uint8), torch.full((1, 1, 4, 4), 11, dtype=torch.uint8)
    assert psnr(pred, label, data_range=255).item() == pytest.approx(20 * math.log10(255), abs=1e-4)


def test_the_wrong_range_flatters_by_six_decibels():
    pred, label = torch.rand(2, 1, 1, 16, 16)
    assert (psnr(pred, label, 2.0) - psnr(pred, label, 1.0)).item() == pytest.approx(6.0206, abs=1e-3)


def test_a_perfect_image_is_infinitely_good():
    image = torch.rand(1, 1, 8, 8)
    assert psnr(image, image).item() == math.inf


def test_images_of_two_sizes_are_not_compared():
    with pytest.raises(DataError, match=r"found \(1, 1, 8, 8\) and \(1, 1, 1, 8\)"):
        psnr(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 1, 8))
