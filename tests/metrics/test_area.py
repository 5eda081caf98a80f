from __future__ import annotations

import pytest
import torch

from rockmonai.errors import DataError
from rockmonai.metrics import AreaFractionError, area_fraction_error

# Of 8 voxels the prediction has 3 and 1 of class 2, the label 1 and 2.
PRED = torch.tensor([[2, 2, 2, 0, 0, 0, 1, 1], [0, 0, 0, 2, 1, 1, 1, 1]])
LABEL = torch.tensor([[2, 0, 0, 0, 0, 0, 0, 0], [0, 0, 2, 2, 1, 1, 1, 1]])


@pytest.mark.parametrize("shape", [(2, 1, 2, 4), (2, 1, 2, 2, 2)])
def test_too_much_is_positive_and_too_little_negative(shape):
    pred, label = PRED.view(shape), LABEL.view(shape).byte()
    assert area_fraction_error(pred, label, 2).tolist() == [2 / 8, -1 / 8]
    assert area_fraction_error(pred, label, 2, absolute=True).tolist() == [2 / 8, 1 / 8]
    assert area_fraction_error(pred, label, 7).tolist() == [0, 0]


@pytest.mark.parametrize(("absolute", "expected"), [(False, 0.5 / 8), (True, 1.5 / 8)])
def test_the_mean_is_a_bias_or_a_typical_error(absolute, expected):
    metric = AreaFractionError(2, absolute)
    metric.update([PRED.view(2, 1, 2, 4), LABEL.view(2, 1, 2, 4)])
    assert metric.metric_fn.aggregate().item() == pytest.approx(expected)


def test_logits_are_no_classes():
    with pytest.raises(DataError, match="take the argmax"):
        area_fraction_error(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4), 1)
