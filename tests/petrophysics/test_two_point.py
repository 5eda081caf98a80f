from __future__ import annotations

import io
import math
import zipfile

import numpy as np
import pytest
import tifffile

from rockmonai.errors import DataError, UsageError
from rockmonai.petrophysics import porosity, two_point_correlation, two_point_error
from tests.petrophysics.shapes import random_pores


@pytest.mark.parametrize("shape", [(30, 41), (12, 17, 14)])
def test_counts_the_pairs_that_are_there(shape):
    mask = random_pores(shape, 1.5)
    curves = two_point_correlation(mask, 12)
    assert curves.shape == (len(shape), 12)
    for axis, curve in enumerate(curves):
        lines = np.moveaxis(mask, axis, 0)
        both = [(lines[lag:] & lines[: len(lines) - lag]).mean() for lag in range(12)]
        np.testing.assert_allclose(curve, both, rtol=1e-12)


def test_agrees_with_the_published_curve_of_berea_sandstone(real_data):
    folder = real_data / "berea_binary"
    with zipfile.ZipFile(folder / "berea.zip") as archive:
        mask = tifffile.imread(io.BytesIO(archive.read("berea.tif"))) == 0
    published = np.loadtxt(folder / "two_point_probability_pore.csv", delimiter=",", skiprows=1)[:100]
    x, y, z = published.T
    np.testing.assert_allclose(two_point_correlation(mask, 100), [x, z, y], atol=1e-11)


def test_periodic_stripes_have_a_periodic_triangle():
    stripes = np.zeros((20, 80), bool)
    stripes[:, (np.arange(80) % 8) < 4] = True
    along, across = two_point_correlation(stripes, 17)[:, [0, 4, 8, 16]]
    assert along.tolist() == [0.5] * 4
    # 80 - 4 pairs at half a period have none in common; 80 - 8 at a whole one are half pore.
    assert across.tolist() == [0.5, 0, 0.5, 0.5]


def test_uncorrelated_pores_have_the_square_of_the_porosity():
    mask = np.random.default_rng(0).random((100, 100, 100)) < 0.3
    curves = two_point_correlation(mask, 20)
    assert curves[:, 0].tolist() == [porosity(mask)] * 3
    # Of about a million pairs, which share voxels: the standard error is about 0.0005.
    np.testing.assert_allclose(curves[:, 1:], 0.09, atol=0.0025)


def test_every_distance_within_the_mask_can_be_asked_for():
    mask = np.ones((6, 4), bool)
    assert two_point_correlation(mask, 4).tolist() == [[1] * 4] * 2
    with pytest.raises(DataError, match=r"\(6, 4\) are at most 3 apart .* lags=5"):
        two_point_correlation(mask, 5)
    with pytest.raises(UsageError, match="lags=0"):
        two_point_correlation(mask, 0)


def test_the_error_is_counted_in_the_fall_of_an_uncorrelated_rock():
    stripes, noise = np.zeros((512, 512), bool), np.random.default_rng(0).random((512, 512)) < 0.5
    stripes[::2] = True  # across 1/2 and 0 in turn, along 1/2
    # Against 1/4 everywhere (1/2 at lag 0): 1/4 in all other lags, in units of 1/4.
    assert two_point_error(stripes, noise, 8) == pytest.approx(math.sqrt(7 / 8), rel=0.02)
    assert two_point_error(noise, noise, 8) == two_point_error(noise, np.roll(noise, 256, 0), 1) == 0


def test_the_error_of_the_porosity_alone():
    half = np.arange(64 * 64).reshape(64, 64) % 2 == 0
    assert two_point_error(np.zeros((64, 64)), half, 1) == pytest.approx(0.5 / 0.25)


def test_where_nothing_falls_there_is_no_error():
    assert math.isnan(two_point_error(np.eye(8), np.ones((8, 8)), 4))
    with pytest.raises(DataError, match="An image and a volume"):
        two_point_error(np.ones((8, 8)), np.ones((8, 8, 8)), 4)
