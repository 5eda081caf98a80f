from __future__ import annotations

import math

import pytest
import scipy.stats
import torch

from rockmonai.errors import DataError
from rockmonai.metrics import mean_sem


@pytest.mark.parametrize("shape", [(7,), (7, 1)])
def test_agrees_with_scipy(shape):
    values = torch.rand(shape) * 30
    expected = (values.mean().item(), scipy.stats.sem(values.flatten().numpy()))
    assert mean_sem(values) == pytest.approx(expected)


def test_a_plain_list_will_do():
    assert mean_sem([1.0, 2.0, 3.0]) == pytest.approx((2, 1 / math.sqrt(3)))


def test_one_value_has_no_spread():
    mean, sem = mean_sem([4.0])
    assert mean == 4
    assert math.isnan(sem)


def test_nothing_has_no_mean():
    with pytest.raises(DataError, match="no image was judged"):
        mean_sem([])
