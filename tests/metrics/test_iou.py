from __future__ import annotations

import math

import pytest
import torch
from monai.metrics import compute_iou
from monai.networks import one_hot

from rockmonai.errors import DataError, UsageError
from rockmonai.metrics import IoU, iou

PRED = torch.tensor([[[[0, 0, 1, 1]]], [[[0, 0, 0, 2]]]])
LABEL = torch.tensor([[[[0, 1, 1, 1]]], [[[0, 0, 0, 0]]]])


@pytest.mark.parametrize("shape", [(3, 1, 12, 14), (2, 1, 6, 7, 8)])
def test_agrees_with_monai_where_every_class_is_there(shape):
    torch.manual_seed(0)
    pred, label = torch.randint(0, 3, (2, *shape))
    expected = compute_iou(one_hot(pred, 3), one_hot(label, 3))
    for phase in range(3):
        torch.testing.assert_close(iou(pred, label, phase), expected[:, phase])
    torch.testing.assert_close(iou(pred.float(), label), expected.mean(1))


def test_a_class_that_is_nowhere_has_no_value_and_one_that_is_invented_has_none_of_it():
    torch.testing.assert_close(iou(PRED, LABEL, 1), torch.tensor([2 / 3, math.nan]), equal_nan=True)
    torch.testing.assert_close(iou(PRED, LABEL, 2), torch.tensor([math.nan, 0.0]), equal_nan=True)


def test_the_mean_is_that_of_the_classes_that_are_there():
    torch.testing.assert_close(iou(PRED, LABEL), torch.tensor([(1 / 2 + 2 / 3) / 2, (3 / 4 + 0) / 2]))


def test_logits_are_no_classes():
    with pytest.raises(DataError, match=r"found \(1, 3, 4, 4\): take the argmax"):
        iou(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4))


def test_a_class_that_is_nowhere_can_count_as_one():
    torch.testing.assert_close(iou(PRED, LABEL, 1, absent="one"), torch.tensor([2 / 3, 1.0]))
    # Classes 2 and 3 are nowhere in the first pair, 1 and 3 nowhere in the second.
    expected = torch.tensor([(1 / 2 + 2 / 3 + 1 + 1) / 4, (3 / 4 + 1 + 0 + 1) / 4])
    torch.testing.assert_close(iou(PRED, LABEL, absent="one", classes=4), expected)


def test_how_many_classes_there_are_matters_only_to_the_absent():
    torch.testing.assert_close(iou(PRED, LABEL, classes=4), iou(PRED, LABEL))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"absent": "one"}, "set 'classes'"), ({"absent": "skp"}, "did you mean 'skip'")],
)
def test_refuses_what_it_cannot_average(options, words):
    with pytest.raises(UsageError, match=words):
        iou(PRED, LABEL, **options)
    with pytest.raises(UsageError, match=words):
        IoU(**options)
