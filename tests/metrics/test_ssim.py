from __future__ import annotations

import pytest
import torch
from skimage.metrics import structural_similarity

from rockmonai.errors import DataError
from rockmonai.metrics import ssim


@pytest.mark.parametrize("shape", [(2, 1, 40, 33), (1, 1, 20, 18, 16)])
def test_agrees_with_scikit_image_inside_the_border(shape):
    torch.manual_seed(0)
    label = torch.rand(shape) * 2 - 1
    pred = 0.8 * label + 0.3 * torch.randn(shape)
    inside = (slice(5, -5),) * (len(shape) - 2)
    for one_pred, one_label, found in zip(pred, label, ssim(pred, label, data_range=2), strict=True):
        _, local = structural_similarity(
            one_label[0].double().numpy(),
            one_pred[0].double().numpy(),
            data_range=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        assert found.item() == pytest.approx(local[inside].mean(), abs=1e-5)


def test_is_one_for_equal_images():
    image = torch.rand(2, 3, 16, 16)
    assert ssim(image, image).tolist() == pytest.approx([1, 1])


def test_an_image_smaller_than_the_window_is_refused():
    with pytest.raises(DataError, match="window of 11 voxels a side, found an image of 16 x 8:"):
        ssim(torch.rand(1, 1, 16, 8), torch.rand(1, 1, 16, 8))
