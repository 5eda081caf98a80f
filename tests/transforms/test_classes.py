from __future__ import annotations

import pytest
import torch
from monai.losses import DiceCELoss
from torch import nn

from rockmonai.errors import DataError
from rockmonai.transforms import MasksToClassesd, class_map

LOW = torch.tensor([[[0, 1, 0, 1]]], dtype=torch.uint8)
HIGH = torch.tensor([[[0, 0, 255, 255]]], dtype=torch.uint8)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.bool, torch.float32])
def test_masks_of_any_dtype_make_the_same_map(dtype):
    assert torch.equal(class_map([LOW.to(dtype), HIGH.to(dtype)]), class_map([LOW, HIGH]))


def test_the_later_mask_wins():
    record = MasksToClassesd(["low", "high"])({"low": LOW, "high": HIGH.numpy()})
    assert record["label"].tolist() == [[[0, 1, 2, 2]]]
    assert record["label"].dtype == torch.int64 and torch.equal(record["low"], LOW)
    assert class_map([HIGH, LOW]).tolist() == [[[0, 2, 1, 2]]]


@pytest.mark.parametrize("shape", [(1, 5, 6), (1, 3, 5, 6)])
def test_the_losses_take_the_map(shape):
    torch.manual_seed(0)
    label = torch.stack([class_map(list(torch.rand(2, *shape) > 0.6)) for _ in range(2)])
    logits = torch.randn(2, 3, *shape[1:])
    expected = nn.CrossEntropyLoss()(logits, label[:, 0])
    torch.testing.assert_close(DiceCELoss(to_onehot_y=True, softmax=True, lambda_dice=0)(logits, label), expected)
    assert DiceCELoss(to_onehot_y=True, softmax=True)(logits, label).isfinite()


def test_masks_of_two_sizes_are_refused():
    with pytest.raises(DataError, match=r"found \(1, 1, 4\) and \(1, 2, 2\)"):
        class_map([LOW, torch.zeros(1, 2, 2)])
