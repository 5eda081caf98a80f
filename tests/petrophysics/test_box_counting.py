from __future__ import annotations

import math

import numpy as np
import pytest

from rockmonai.errors import DataError, UsageError
from rockmonai.petrophysics import box_counts, fractal_dimension
from tests.petrophysics.shapes import ball, koch_curve, koch_snowflake

SIZES = [4, 8, 16, 32, 64, 128, 256]


@pytest.mark.parametrize("edge", [31, 32, 33])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flat_walls_have_the_dimension_of_a_plane(edge, axis):
    plane = np.moveaxis(np.broadcast_to((np.arange(64) < edge)[:, None, None], (64, 64, 64)), 0, axis)
    assert box_counts(plane, [1, 4, 8]).tolist() == [64**2, 16**2, 8**2]
    assert fractal_dimension(plane) == pytest.approx(2)


@pytest.mark.parametrize("edge", [31, 32, 33])
def test_straight_walls_have_the_dimension_of_a_line(edge):
    line = np.broadcast_to(np.arange(96) < edge, (128, 96))
    for wall in (line, line.T):
        assert box_counts(wall, [1, 4, 8]).tolist() == [128, 32, 16]
        assert fractal_dimension(wall) == pytest.approx(1)


def test_a_box_in_which_pores_only_begin_at_its_edge_holds_wall():
    # The wall between the voxels 3 and 4 lies in the box of the voxels 0 to 4 and in no other.
    mask = np.zeros((16, 16), bool)
    mask[:4, :4] = True
    assert box_counts(mask, [4]).tolist() == [1]
    mask[4, 4] = True  # the corner of the next box
    assert box_counts(mask, [4]).tolist() == [4]


@pytest.mark.parametrize("radius", [200.0, 230.4])
def test_a_circle_meets_the_lines_of_the_grid_four_times_in_each_step(radius):
    # A circle crosses each line of the grid within its diameter twice; the lines are those to the nearest, and at the
    # four extremes two crossings may share a box.
    sizes = [1, 2, 4, 8, 16, 32]
    counts = box_counts(ball(radius, (255.3, 256.8), (512, 512)), sizes)
    assert (abs(counts - 8 * radius / np.array(sizes)) <= 8).all()


def test_a_circle_has_dimension_1_to_what_its_count_may_be_off():
    radius, sizes = 460.3, np.array([1, 2, 4, 8, 16])
    weights = np.log(sizes) - np.log(sizes).mean()
    off = abs(weights / (weights**2).sum()) @ -np.log(1 - sizes / radius)  # 8 boxes of 8 radius / size
    assert off < 0.02
    assert fractal_dimension(ball(radius, (510.3, 512.8), (1024, 1024)), sizes) == pytest.approx(1, abs=off)


def test_spheres_meet_as_many_boxes_as_steiner_says_and_have_dimension_2():
    # In the mean over positions a sphere meets 6 pi (R / s)^2 + 2 boxes: those that meet the ball less those inside.
    rng, sizes = np.random.default_rng(0), np.array([1, 2, 4, 8])
    spheres = [ball(28, rng.uniform(30, 38, 3), (68, 68, 68)) for _ in range(16)]
    expected = 6 * math.pi * (28 / sizes) ** 2 + 2
    counts = np.array([box_counts(sphere, sizes) for sphere in spheres])
    error = counts.std(0, ddof=1) / math.sqrt(len(spheres))
    assert (abs(counts.mean(0) - expected) < 3 * error).all() and (error < 0.02 * expected).all()
    found = np.array([fractal_dimension(sphere, sizes) for sphere in spheres])
    slope = -np.polyfit(np.log(sizes), np.log(expected), 1)[0]
    assert abs(found.mean() - slope) < 3 * found.std(ddof=1) / math.sqrt(len(spheres)) < 0.02


def test_a_koch_snowflake_has_its_known_dimension():
    mask, curve = koch_snowflake(6, 1500, 2048), koch_curve(9, 1500, 2048)
    exact = [len(np.unique(curve.real // size * 2048 + curve.imag // size)) for size in SIZES]
    # Voxels do not show what is less than a voxel: a count may lack one part in the size of its boxes.
    ratio = box_counts(mask, SIZES) / exact
    assert (ratio > 1 - 1 / np.array(SIZES)).all() and (ratio < 1.02).all()
    # A count that is off by an eighth at one end of the six octaves tilts the line by log(9/8) / log(64).
    assert fractal_dimension(mask) == pytest.approx(math.log(4, 3), abs=math.log(9 / 8) / math.log(64))


def test_noise_fills_the_image():
    assert fractal_dimension(np.random.default_rng(0).random((256, 256)) < 0.5) == pytest.approx(2)


def test_a_mask_without_walls_has_no_dimension():
    assert math.isnan(fractal_dimension(np.ones((64, 64)))) and math.isnan(fractal_dimension(np.zeros((64, 64, 64))))


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(DataError, match=r"64 voxels or more .* \(63, 80\): take larger images or give 'sizes'"):
        fractal_dimension(np.ones((63, 80)))
    with pytest.raises(UsageError, match="two different sizes"):
        fractal_dimension(np.ones((64, 64)), [4, 4])
    for size in (0, 65):
        with pytest.raises(UsageError, match="1 to 64 voxels"):
            box_counts(np.ones((64, 80)), [4, size])
