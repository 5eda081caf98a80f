from __future__ import annotations

import math

import monai.losses
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy.special import expit, log_softmax

from rockmonai.errors import DataError, UsageError
from rockmonai.losses import FocalDiceLoss, FocalDiceLossMulti, FocalLossMulti

SHAPES = [(3, 20, 17), (2, 5, 6, 7)]


def scene(batch: int, *spatial: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, max(classes, 2), (batch, 1, *spatial), generator=generator)
    return 3 * torch.randn(batch, classes, *spatial, generator=generator), label


def focal(loss: np.ndarray, gamma: float) -> np.ndarray:
    return (1 - np.exp(-loss)) ** gamma * loss


def test_one_class_by_hand():
    # Two pixels with the probabilities 1/2 and 3/4; only the second is of the class.
    pred, label = torch.tensor([[[[0.0, math.log(3)]]]]), torch.tensor([[[[0, 1]]]])
    dice = 1 - (2 * 0.75 + 1) / (1.25 + 1 + 1)
    expected = (0.9 * 0.5 + 0.1 * 0.5) * (1 - math.exp(-dice)) ** 2 * dice
    assert FocalDiceLoss(alpha=0.9)(pred, label).item() == pytest.approx(expected)


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_class_is_the_dice_loss_of_the_whole_batch(shape, gamma):
    pred, label = scene(*shape, classes=1)
    p, t = expit(pred.double().numpy()), label.double().numpy()
    dice = 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
    expected = np.where(t == 1, 0.25, 0.75).mean() * focal(dice, gamma)
    assert FocalDiceLoss(gamma=gamma)(pred, label).item() == pytest.approx(expected, rel=1e-5)


def test_dice_of_one_class_agrees_with_monai():
    pred, label = scene(3, 20, 17, classes=1)
    reference = monai.losses.DiceLoss(sigmoid=True, batch=True, smooth_nr=1, smooth_dr=1)
    found = FocalDiceLoss(alpha=0.5, gamma=0)(pred, label)
    assert found.item() == pytest.approx(reference(pred, label).item() / 2, rel=1e-5)


def test_alpha_only_scales_the_loss_and_its_gradient():
    pred, label = scene(2, 20, 17, classes=1)
    label[:, :, 5:] = 0
    share = label.double().mean().item()
    losses, gradients = [], []
    for alpha in (0.25, 0.9):
        logits = pred.clone().requires_grad_()
        losses.append(FocalDiceLoss(alpha)(logits, label))
        gradients.append(torch.autograd.grad(losses[-1], logits)[0])
    ratio = (0.9 * share + 0.1 * (1 - share)) / (0.25 * share + 0.75 * (1 - share))
    assert (losses[1] / losses[0]).item() == pytest.approx(ratio, rel=1e-5)
    torch.testing.assert_close(gradients[1], ratio * gradients[0])


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_many_classes_are_one_dice_loss_a_voxel(shape, gamma):
    pred, label = scene(*shape, classes=4)
    p = np.exp(log_softmax(pred.double().numpy(), axis=1))
    p_t = np.take_along_axis(p, label.numpy(), axis=1)
    dice = 1 - (2 * p_t + 1) / 3
    assert FocalDiceLossMulti(gamma)(pred, label).item() == pytest.approx(focal(dice, gamma).mean(), rel=1e-5)
    weight = np.array([0.5, 1, 7, 0])
    expected = (weight[label.numpy()] * focal(dice, gamma)).mean()
    assert FocalDiceLossMulti(gamma, weight.tolist())(pred, label).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_cross_entropy_is_averaged_before_it_is_made_focal(shape, gamma):
    pred, label = scene(*shape, classes=4)
    log_p = np.take_along_axis(log_softmax(pred.double().numpy(), axis=1), label.numpy(), axis=1)
    assert FocalLossMulti(gamma)(pred, label).item() == pytest.approx(focal(-log_p.mean(), gamma), rel=1e-5)


def test_of_a_single_voxel_it_is_monais_focal_loss():
    pred, label = scene(1, 1, 1, classes=4)
    reference = monai.losses.FocalLoss(to_onehot_y=True, use_softmax=True, reduction="sum")
    assert FocalLossMulti()(pred, label).item() == pytest.approx(reference(pred, label).item(), rel=1e-5)


LOSSES = [(FocalDiceLoss, 1), (FocalDiceLossMulti, 4), (FocalLossMulti, 4)]


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
@pytest.mark.parametrize("size", [30.0, 1e4, 1e30])
@pytest.mark.parametrize(("loss", "channels"), LOSSES)
def test_extreme_logits_give_finite_losses_and_gradients(loss, channels, size, gamma):
    pred, label = scene(2, 8, 8, classes=channels)
    right = 2 * torch.nn.functional.one_hot(label[:, 0], 4).movedim(-1, 1)[:, 4 - channels :] - 1
    for signs in (right if channels > 1 else 2 * label - 1, pred.sign()):
        logits = (size * signs).float().requires_grad_()
        value = loss(gamma=gamma)(logits, label)
        value.backward()
        assert value.isfinite() and logits.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("loss", "channels"), LOSSES)
def test_half_precision_is_computed_in_full(loss, channels, dtype):
    pred, label = scene(1, 300, 300, classes=channels)  # more pixels than the largest float16
    pred = pred.to(dtype).requires_grad_()
    value = loss()(pred, label)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss()(pred.double(), label).item(), rel=1e-5)
    value.backward()
    assert pred.grad.isfinite().all()


@pytest.mark.parametrize(("loss", "channels"), LOSSES)
def test_labels_of_any_dtype_and_kind_will_do(loss, channels):
    pred, label = scene(2, 8, 8, classes=channels)
    expected = loss()(pred, label).item()
    for other in (label.byte(), label.float(), MetaTensor(label)):
        assert loss()(MetaTensor(pred), other).item() == expected


@pytest.mark.parametrize(("loss", "channels"), LOSSES)
def test_labels_that_do_not_fit_are_refused(loss, channels):
    pred, label = scene(2, 8, 8, classes=channels)
    with pytest.raises(DataError, match=r"must have the shape \(2, 1, 8, 8\), found \(2, 8, 8\)"):
        loss()(pred, label[:, 0])
    with pytest.raises(DataError, match=rf"from 0 to {max(channels, 2) - 1}, found 0 to 255"):
        loss()(pred, torch.where(label == 1, 255, 0))


def test_a_weight_is_needed_for_every_class():
    with pytest.raises(UsageError, match=r"each of 4 classes, found \[1.0, 2.0\]"):
        FocalDiceLossMulti(weight=[1.0, 2.0])(*scene(1, 4, 4, classes=4))
