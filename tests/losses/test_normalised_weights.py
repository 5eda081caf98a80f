from __future__ import annotations

import math

import pytest

from rockmonai.errors import UsageError
from rockmonai.losses import normalised_weights


def test_published_weights_of_a_cycle_sum_to_two_hundred():
    found = normalised_weights({"G_A": 10, "G_B": 10, "D_A": 1, "D_B": 1, "C_A": 100, "C_B": 100}, 200)
    expected = {"G_A": 9.0090, "G_B": 9.0090, "D_A": 0.9009, "D_B": 0.9009, "C_A": 90.0901, "C_B": 90.0901}
    assert found == pytest.approx(expected, abs=5e-5)
    assert sum(found.values()) == pytest.approx(200)


def test_a_list_stays_a_list_in_order():
    assert normalised_weights([3, 0, 1], total=1) == [0.75, 0, 0.25]


@pytest.mark.parametrize(
    ("weights", "total"),
    [([0, 0], 200), ([], 200), ([1, -0.5], 200), ([1, math.nan], 200), ([math.inf], 200), ([1], 0)],
)
def test_weights_without_proportions_are_refused(weights, total):
    with pytest.raises(UsageError, match="numbers from 0, some of them and their total above it, found"):
        normalised_weights(weights, total)
