from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from rockmonai.errors import DataError
from rockmonai.metrics import psnr, psnr_8bit, ssim, ssim_8bit

SHAPE = (3, 2, 24, 20)


@pytest.fixture(name="images")
def _images() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    label = torch.rand(SHAPE) * 2 - 1
    pred = (label + 0.2 * torch.randn(SHAPE)).clamp(-1, 1)
    return pred, label, (torch.rand(SHAPE[0], 1, *SHAPE[2:]) > 0.7).to(torch.uint8)


@pytest.mark.parametrize("metric", [psnr, psnr_8bit, ssim, ssim_8bit])
def test_the_whole_image_is_a_region(metric, images):
    pred, label, _ = images
    for whole in (torch.ones(3, 1, 24, 20), torch.full((3, 1, 24, 20), 255, dtype=torch.uint8)):
        torch.testing.assert_close(metric(pred, label, within=whole), metric(pred, label))


@pytest.mark.parametrize("metric", [psnr, psnr_8bit, ssim, ssim_8bit])
def test_an_image_without_the_region_has_no_value(metric, images):
    pred, label, region = images
    region[1] = 0
    assert metric(pred, label, within=region).isnan().tolist() == [False, True, False]


def test_psnr_counts_the_pixels_of_the_region_alone(images):
    pred, label, region = images
    for one_pred, one_label, mask, found in zip(*images, psnr(pred, label, within=region), strict=True):
        inside = mask[0].numpy() > 0
        error = np.mean((one_pred.numpy()[:, inside] - one_label.numpy()[:, inside]) ** 2)
        assert found.item() == pytest.approx(10 * np.log10(4 / error), abs=1e-4)


def test_ssim_averages_the_local_map_of_scikit_image_over_the_region(images):
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    border = slice(5, -5)
    for one_pred, one_label, mask, found in zip(*images, ssim(*images[:2], within=images[2]), strict=True):
        inside = mask[0, border, border].numpy() > 0
        _, local = structural_similarity(
            one_label.double().numpy(), one_pred.double().numpy(), data_range=2, full=True, channel_axis=0, **gaussian
        )
        assert found.item() == pytest.approx(local[:, border, border][:, inside].mean(), abs=1e-5)


def test_a_region_in_the_border_holds_no_whole_window(images):
    pred, label, _ = images
    border = torch.zeros(3, 1, 24, 20)
    border[..., :5] = 1
    assert ssim(pred, label, within=border).isnan().all()
    assert not psnr(pred, label, within=border).isnan().any()


@pytest.mark.parametrize("metric", [psnr, ssim, psnr_8bit, ssim_8bit])
def test_a_region_of_another_size_is_refused(metric, images):
    with pytest.raises(DataError, match=r"it must be \(3, 1, 24, 20\)"):
        metric(*images[:2], within=torch.ones(3, 1, 12, 10))


def test_a_wide_error_outside_the_region_is_not_seen():
    label, region = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    region[..., :4] = 1
    assert psnr(label + 0.2 * region + 0.9 * (1 - region), label, within=region).item() == pytest.approx(
        20 * math.log10(2 / 0.2), abs=1e-4
    )
