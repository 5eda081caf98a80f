from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from rockmonai.errors import DataError
from rockmonai.metrics import psnr_8bit, ssim_8bit


def greys(images: torch.Tensor) -> np.ndarray:
    """Return [-1, 1] as bytes in double precision, cut off."""
    return np.floor(np.clip((images.double().numpy() + 1) * 127.5, 0, 255)).astype(np.uint8)


@pytest.fixture(name="pair", params=[(2, 1, 31, 40), (1, 1, 12, 13, 14)])
def _pair(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    # Greys between two bytes, so that neither precision can fall on the other side of a whole number.
    label = (torch.randint(0, 255, request.param) + 0.5) / 127.5 - 1
    return 0.8 * label + 0.03, label


def test_psnr_agrees_with_scikit_image(pair):
    pred, label = pair
    expected = [peak_signal_noise_ratio(b, a) for a, b in zip(greys(pred), greys(label), strict=True)]
    assert psnr_8bit(pred, label).tolist() == pytest.approx(expected, abs=1e-4)


def test_ssim_agrees_with_the_defaults_of_scikit_image(pair):
    pred, label = pair
    expected = [structural_similarity(b[0], a[0]) for a, b in zip(greys(pred), greys(label), strict=True)]
    assert ssim_8bit(pred, label).tolist() == pytest.approx(expected, abs=1e-5)


def test_ssim_of_smooth_images_agrees_as_well():
    y, x = np.mgrid[:64, :64] / 64
    label = torch.tensor(0.9 + 0.05 * np.sin(9 * x) * np.cos(7 * y), dtype=torch.float32)[None, None]
    pred = torch.tensor(0.88 + 0.05 * np.sin(9 * x + 0.2) * np.cos(7 * y), dtype=torch.float32)[None, None]
    expected = structural_similarity(greys(label)[0, 0], greys(pred)[0, 0])
    assert ssim_8bit(pred, label).item() == pytest.approx(expected, abs=1e-3)


def test_greys_are_cut_off_and_never_wrap():
    grey = torch.tensor([-1.5, -1.0, 9.99 / 127.5 - 1, 10.01 / 127.5 - 1, 1.0, 1.5]).reshape(1, 1, 1, 6)
    expected = torch.tensor([0, 0, 9, 10, 255, 255]).reshape(1, 1, 1, 6) / 127.5 - 1 + 1e-4
    assert psnr_8bit(grey, expected).item() == np.inf


def test_an_image_smaller_than_the_window_is_refused():
    with pytest.raises(DataError, match="window of 7 voxels a side, found an image of 16 x 6:"):
        ssim_8bit(torch.rand(1, 1, 16, 6), torch.rand(1, 1, 16, 6))
