from __future__ import annotations

import math
import random

import pytest

from rockmonai.handlers.retuning import moved_rates, moved_weights


def test_weights_move_within_their_bounds_and_keep_their_sum():
    class Still(random.Random):
        def uniform(self, low, high):
            return low

    moved = moved_weights({"a": 0.0, "b": 0.3, "c": 300.0}, Still(), (-0.5, 0.5), {"b"}, 1.3)
    # (0 + 0.1) / 2 is held at 0.1, (0.3 + 0.1) / 2 is raised, 300.1 / 2 is held at 100.
    expected = {"a": 0.1, "b": 0.26, "c": 100.0}
    assert moved == pytest.approx({name: weight * 300.3 / 100.36 for name, weight in expected.items()})


def test_the_side_that_wins_learns_more_slowly():
    rates = moved_rates([[2.0], [2.0, 4.0]], [[2.0], [2.0, 4.0]], accuracy=0.9, step=0)
    assert rates == [[pytest.approx(1.81)], [pytest.approx(1.01), pytest.approx(2.02)]]
    assert moved_rates([[0.0], []], [[1.0], []], accuracy=1.0, step=50_000)[0] == [pytest.approx(0.5 / math.e, 1e-4)]
