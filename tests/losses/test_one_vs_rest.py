from __future__ import annotations

import pytest
import torch
from monai.losses import DiceFocalLoss
from monai.networks import one_hot

from rockmonai.errors import DataError
from rockmonai.losses import FocalDiceLoss, OneVsRest


@pytest.fixture(name="scene", params=[(2, 12, 13), (2, 5, 6, 7)])
def _scene(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    batch, *spatial = request.param
    return torch.randn(batch, 4, *spatial), torch.randint(0, 4, (batch, 1, *spatial))


def test_cross_entropy_is_that_of_the_one_hot_label(scene):
    pred, label = scene
    loss = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))
    torch.testing.assert_close(OneVsRest(loss)(pred, label), loss(pred, one_hot(label, 4)))


def test_monais_dice_focal_loss_is_that_of_the_one_hot_label(scene):
    pred, label = scene
    loss = DiceFocalLoss(sigmoid=True)
    torch.testing.assert_close(OneVsRest(loss)(pred, label), loss(pred, one_hot(label, 4)))


def test_each_class_has_its_own_dice_loss():
    # Zero logits say 1/2 of everything; of 8 voxels 6 are of class 0 and 2 of class 1, and the rest of no class.
    label = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1]).view(1, 1, 2, 4)
    dice = [1 - (count + 1) / (4 + count + 1) for count in (6, 2, 0)]
    found = OneVsRest(FocalDiceLoss(alpha=0.5, gamma=0))(torch.zeros(1, 3, 2, 4), label)
    assert found.item() == pytest.approx(0.5 * sum(dice) / 3)


def test_half_precision_is_computed_in_full(scene):
    pred, label = scene
    loss = OneVsRest(torch.nn.BCEWithLogitsLoss())
    assert loss(pred.bfloat16(), label).item() == pytest.approx(loss(pred.bfloat16().float(), label).item())


def test_a_class_without_a_channel_is_refused(scene):
    pred, label = scene
    with pytest.raises(DataError, match="from 0 to 2, found 0 to 3"):
        OneVsRest(torch.nn.BCEWithLogitsLoss())(pred[:, :3], label)


def test_a_one_hot_label_is_refused(scene):
    pred, label = scene
    with pytest.raises(DataError, match="one channel of class numbers"):
        OneVsRest(torch.nn.BCEWithLogitsLoss())(pred, one_hot(label, 4))
