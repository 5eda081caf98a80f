"""Scores of planted series and planted contrast, all in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rockmonai.handlers.failure_score import cycle_score, flip_score, grey_correlation, rise_score, slope


def series(*spans):
    """Return a series that is constant in spans, each given by its length and value."""
    return [value for length, value in spans for _ in range(length)]


@pytest.mark.parametrize(
    ("values", "score"),
    [
        (series((220, 0.7)), 0.0),
        (series((120, 0.8), (100, 0.4)), 0.0),
        (series((220, 0.0)), 0.0),
        # A step up by half, seen through a running mean that takes 20 iterations to follow: 1/20, 2/20, ... 19/20.
        (series((120, 1.0), (100, 1.5)), 0.5 * (1 - 0.19 / 2)),
        # A peak of 10 for 20 iterations in the earlier window lifts its mean from 1 to 2.8: below 4 times that.
        (series((60, 1.0), (20, 10.0), (140, 1.0)), 0.0),
        # In the later window it is 10 times the mean before, and lifts the mean after by a factor of 2.8.
        (series((160, 1.0), (20, 10.0), (40, 1.0)), (10 / 3 - 1) + 1.8),
        (series((220, 20.0)), 0.0),
        (series((220, 21.0)), 20.0),
    ],
)
def test_a_loss_counts_by_how_it_rises(values, score):
    assert rise_score(values) == pytest.approx(score, abs=1e-9)
    assert rise_score([5.0] * 50 + values) == pytest.approx(score, abs=1e-9)


def test_all_spans_scale_with_the_window():
    assert rise_score(series((12, 1.0), (10, 1.5)), window=10) == pytest.approx(0.5 * (1 - 0.1 * 0.5))


@pytest.mark.parametrize(("last", "score"), [(0.41, 0.0), (0.43, 20.0)])
def test_a_cycle_may_be_four_tenths_above_its_minimum_and_a_tenth(last, score):
    assert cycle_score(series((100, 3.0), (100, last)), lowest=0.2) == score


@pytest.mark.parametrize(("found", "score"), [((0.1, 0.9), 0.0), ((-0.1, 0.9), 0.5), ((-0.1, -0.9), 20.0)])
def test_inversion_of_both_directions_is_what_counts(found, score):
    assert flip_score(found) == score


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (1, 1, 8, 8, 8)])
def test_correlation_of_an_enlarged_image_is_that_of_its_contrast(shape):
    torch.manual_seed(0)
    real = torch.randn(shape)
    large = 3 * real + 5
    for axis in range(2, real.ndim):
        large = large.repeat_interleave(2, axis)
    assert grey_correlation(large, real) == pytest.approx(1)
    assert grey_correlation(-large, real) == pytest.approx(-1)
    assert grey_correlation(real, -large) == pytest.approx(-1)


def test_its_sign_tells_which_of_image_and_negative_is_nearer():
    torch.manual_seed(1)
    seen = set()
    for share in (-1.0, -0.2, 0.2, 1.0):
        real, other = torch.randn(2, 4, 1, 16, 16).unbind()
        fake = share * real + other
        scores = [(x - x.mean()) / x.std() for x in (fake, real)]
        nearer_the_negative = (scores[0] + scores[1]).square().mean() < (scores[0] - scores[1]).square().mean()
        assert (grey_correlation(fake, real) < 0) == nearer_the_negative
        assert grey_correlation(fake, real) == pytest.approx(np.corrcoef(fake.flatten(), real.flatten())[0, 1])
        seen.add(bool(nearer_the_negative))
    assert seen == {True, False}


def test_one_grey_correlates_with_nothing():
    assert grey_correlation(torch.ones(1, 1, 4, 4), torch.randn(1, 1, 4, 4)) == 0


def test_slope_is_that_of_the_line():
    assert slope([3.0, 2.5, 2.0, 1.5]) == pytest.approx(-0.5)
    assert slope([0.0, 1.0, 0.0]) == pytest.approx(0, abs=1e-12)
