from __future__ import annotations

import math

import numpy as np
import pytest

from rockmonai.errors import DataError, UsageError
from rockmonai.petrophysics import roughness
from tests.petrophysics.shapes import ball, koch_snowflake, random_pores


@pytest.mark.parametrize("mask", [ball(160, (512, 511.6), (1024, 1024)), ball(160, (0, 0), (512, 512))])
def test_large_round_pores_are_smooth(mask):
    blocks = mask.shape[0] / 4
    assert roughness(mask) == pytest.approx(1, abs=1.5 / blocks + 0.01)


def test_the_walls_of_a_cube_are_smooth():
    cube = np.zeros((160, 160, 160), bool)
    cube[40:120, 40:120, 40:120] = True
    # Edges and corners differ from flat walls by 1 over the 20 blocks of an edge, the empty border by 1.5 over 40.
    assert roughness(cube) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(("shape", "smoothing"), [((1024, 1024), 24), ((128, 128, 128), 12)])
def test_smooth_random_pores_approach_1_from_above(shape, smoothing):
    wide, narrow = (roughness(random_pores(shape, smoothing / by)) for by in (1, 4))
    assert 1 < wide < 1.03 < narrow


def test_teeth_finer_than_a_block_lengthen_a_wall_as_they_do_by_hand():
    # Columns end alternately one voxel below and above a flat wall between two rows of blocks: the coarse mask is the
    # flat wall. A tooth has 1 step along y, 2 along x and 2 along each diagonal, a flat wall 1, 0 and 1; each
    # diagonal weighs 1 / sqrt(2): (3 + 4 / sqrt(2)) / (1 + 2 / sqrt(2)).
    mask = np.zeros((4000, 32), bool)
    mask[:1999] = mask[1999:2001, ::2] = True
    assert roughness(mask) == pytest.approx((3 + 4 / math.sqrt(2)) / (1 + 2 / math.sqrt(2)), rel=2 / 1000)


def test_a_koch_curve_grows_with_the_coarsening_to_the_power_of_its_dimension_less_1():
    mask = koch_snowflake(6, 1500, 2048)
    assert roughness(mask, 16) / roughness(mask, 4) == pytest.approx(4 ** (math.log(4, 3) - 1), rel=0.02)


def test_a_block_of_which_half_is_pore_is_pore():
    # A speck of half a block lengthens the coarse wall as well, a smaller one the fine wall only.
    half = np.zeros((512, 64), bool)
    half[:, :32] = True
    half[100:104, 40:42] = True
    less = half.copy()
    less[100, 40] = False
    assert roughness(half) < roughness(less)


def test_voxels_beyond_the_last_block_are_left_out():
    mask = random_pores((64, 66), 3)
    mask[:, 64:] = np.random.default_rng(0).random((64, 2)) < 0.5
    assert roughness(mask) == roughness(mask[:, :64])


def test_without_a_coarse_wall_there_is_nothing_to_compare_with():
    speck = np.zeros((32, 32), bool)
    speck[9, 9] = True
    for mask in (speck, np.zeros((32, 32)), np.ones((16, 16, 16)), ~speck):
        assert math.isnan(roughness(mask))


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(DataError, match=r"4 times coarser .* found \(32, 7\)"):
        roughness(np.ones((32, 7)))
    with pytest.raises(UsageError, match="coarsening 1: 2 or more"):
        roughness(np.ones((32, 32)), 1)
