from __future__ import annotations

import pytest
import torch

from rockmonai.errors import DataError
from rockmonai.metrics import PixelAccuracy, pixel_accuracy


@pytest.mark.parametrize("shape", [(2, 1, 4, 2), (2, 1, 2, 2, 2)])
def test_is_the_share_of_the_right_pixels(shape):
    label = torch.arange(16).view(shape) % 4
    pred = label.clone().float()
    pred[0].view(-1)[:3] = 9
    assert pixel_accuracy(pred, label).tolist() == [5 / 8, 1]
    metric = PixelAccuracy()
    metric.update([pred, label])
    assert metric.metric_fn.aggregate().item() == pytest.approx(13 / 16)


def test_logits_are_no_classes():
    with pytest.raises(DataError, match="take the argmax"):
        pixel_accuracy(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4))
