from __future__ import annotations

import pytest
import torch

from rockmonai.errors import UsageError
from rockmonai.losses import JacobianPenalty, LossTerm

TENSORS = {"image": torch.zeros(3), "label": torch.full((3,), 2.0), "pred": torch.full((3,), 5.0)}


def test_weighs_the_loss_of_prediction_and_label():
    assert LossTerm("pixel", torch.nn.L1Loss(), weight=10)(TENSORS).item() == 30


def test_passes_the_named_tensors_in_order():
    assert LossTerm("sum", lambda a, b: (2 * a - b).sum(), between=["label", "pred"])(TENSORS).item() == -3


def test_weight_zero_switches_it_off():
    assert LossTerm("pixel", torch.nn.L1Loss(), weight=0.5).active
    assert not LossTerm("pixel", torch.nn.L1Loss(), weight=0).active


def test_a_term_of_the_image_needs_its_gradient():
    assert LossTerm("smooth", JacobianPenalty(), between=("pred", "image")).needs_input_gradient
    assert not LossTerm("pixel", torch.nn.L1Loss()).needs_input_gradient


def test_a_missing_tensor_is_named_with_the_term():
    with pytest.raises(UsageError, match=r"Loss 'pixel' compares pred and lable, .* \(did you mean 'label'"):
        LossTerm("pixel", torch.nn.L1Loss(), between=("pred", "lable"))(TENSORS)


def test_compares_the_named_channels_alone():
    pred, label = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    label[:, 0], label[:, 1], label[:, 2] = 1, 10, 100
    term = LossTerm("pixel", torch.nn.L1Loss(), channels=[2, 0])
    assert term({"pred": pred, "label": label}).item() == (100 + 1) / 2


def test_a_missing_channel_is_named_with_the_term():
    with pytest.raises(UsageError, match="Loss 'pixel' compares the channels 0, 3, but 'pred' has 3, counted from 0"):
        LossTerm("pixel", torch.nn.L1Loss(), channels=[0, 3])(
            {"pred": torch.zeros(1, 3, 4), "label": torch.zeros(1, 3, 4)}
        )
