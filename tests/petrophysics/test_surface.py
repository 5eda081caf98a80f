from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from skimage.measure import perimeter_crofton

from rockmonai.errors import DataError, UsageError
from rockmonai.petrophysics import interface_length, specific_surface
from tests.petrophysics.shapes import ball, random_pores

BOX = np.zeros((12, 11, 10), bool)
BOX[3:7, 4:9, 2:8] = True  # 4 x 5 x 6


def test_faces_are_exact_for_boxes():
    assert interface_length(BOX, estimator="faces") == 2 * (4 * 5 + 5 * 6 + 4 * 6)
    assert interface_length(BOX[4], estimator="faces") == 2 * (5 + 6)


def test_faces_of_anisotropic_voxels_have_their_own_areas():
    # 4 voxels of 3 µm, 5 of 2 µm and 6 of 0.5 µm: a box of 12 x 10 x 3 µm.
    assert interface_length(BOX, (3, 2, 0.5), "faces") == pytest.approx(2 * (12 * 10 + 10 * 3 + 12 * 3))
    assert interface_length(BOX[4], (2, 0.5), "faces") == pytest.approx(2 * (10 + 3))


def test_the_border_of_the_image_is_no_wall():
    half = np.zeros((8, 9), bool)
    half[:, :4] = True
    assert interface_length(half, estimator="faces") == 8
    assert interface_length(np.ones((8, 9))) == interface_length(np.zeros((8, 9, 7))) == 0


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_image_where_no_pore_touches_the_border(seed):
    mask = np.pad(np.random.default_rng(seed).random((30, 41)) < 0.4, 1)
    assert interface_length(mask) == pytest.approx(perimeter_crofton(mask, directions=4))


@pytest.mark.parametrize(("radius", "bias"), [(10, 0.006), (20, 0.006), (40, 0.002)])
def test_circles_have_no_bias_but_4_over_pi_in_faces(radius, bias):
    disc, known = ball(radius, (50.3, 49.8), (100, 100)), 2 * math.pi * radius
    assert interface_length(disc) == pytest.approx(known, rel=bias)
    # A convex staircase is as long as the box around it, whose sides are the diameter to the nearest voxel.
    assert abs(interface_length(disc, estimator="faces") - 8 * radius) <= 4


@pytest.mark.parametrize(("radius", "bias"), [(10, 0.006), (20, 0.003), (40, 0.001)])
def test_spheres_have_no_bias_but_3_over_2_in_faces(radius, bias):
    sphere, known = ball(radius, (50.3, 49.8, 50.1), (100, 100, 100)), 4 * math.pi * radius**2
    assert interface_length(sphere) == pytest.approx(known, rel=bias)
    assert interface_length(sphere, estimator="faces") == pytest.approx(1.5 * known, rel=0.01)


@pytest.mark.parametrize("spacing", [(2.0, 1.0, 1.0), (0.5, 1.0, 2.0), (1.0, 2.0), (3.0, 1.0)])
def test_round_pores_in_anisotropic_voxels_are_as_large(spacing):
    grid = np.ogrid[tuple(slice(-55.3, 55, step) for step in spacing)]
    known = 4 * math.pi * 50**2 if len(spacing) == 3 else 2 * math.pi * 50
    assert interface_length(sum(x**2 for x in grid) < 50**2, spacing) == pytest.approx(known, rel=0.003)


def test_a_flat_wall_in_space_is_met_to_8_percent_by_its_inclination():
    # By Cauchy: each direction sees the wall by its cosine and stands for its part of all directions, which are
    # published for the 6, 12 and 8 neighbours at a face, an edge and a corner.
    part = {1: 0.0457778912, 2: 0.0369806279, 3: 0.0351956398}
    steps = np.array([step for step in product((-1, 0, 1), repeat=3) if any(step)])
    weights = np.array([2 * part[int(axes)] for axes in abs(steps).sum(1)])
    units = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    grid = np.stack(np.meshgrid(*[np.arange(64)] * 3, indexing="ij"), -1)
    for normal in Rotation.random(5, random_state=0).apply([0, 0, 1]):
        layers = grid @ normal // 4 % 2 == 0  # a wall in every 4 voxels
        assert specific_surface(layers) * 4 == pytest.approx(weights @ abs(units @ normal), rel=0.002)
    half = np.broadcast_to(np.arange(64) < 20, (64, 64, 64))
    assert specific_surface(half) * 63 == pytest.approx(weights @ abs(units[:, 2])) == pytest.approx(0.9266, abs=1e-4)


@pytest.mark.parametrize(("shape", "pieces"), [((512, 512), 8), ((96, 96, 96), 3)])
def test_the_specific_surface_of_a_rock_is_the_mean_of_that_of_its_pieces(shape, pieces):
    mask = random_pores(shape, 5)
    parts = [mask]
    for axis in range(mask.ndim):
        parts = [piece for part in parts for piece in np.split(part, pieces, axis)]
    # Walls between the pieces are seen by none of them: their mean has a sampling error, but no deficit of 1/64.
    assert np.mean([specific_surface(part) for part in parts]) == pytest.approx(specific_surface(mask), rel=0.008)


def test_the_specific_surface_of_stripes_is_their_number():
    stripes = np.zeros((50, 60), bool)
    stripes[:, :30:6] = stripes[:, 30::6] = True  # 10 stripes, 19 walls of 1 in 59 steps
    assert specific_surface(stripes, estimator="faces") == pytest.approx(19 / 59)
    assert specific_surface(stripes, (0.5, 0.25), "faces") == pytest.approx(19 / 59 / 0.25)


@pytest.mark.parametrize("measure", [interface_length, specific_surface])
def test_what_cannot_be_measured_is_refused(measure):
    with pytest.raises(DataError, match=r"\(1, 8, 8\): give one slice as \(Y, X\)"):
        measure(np.ones((1, 8, 8)))
    for spacing in ((1, 1), (1, 1, 0), (1, 1, math.inf)):
        with pytest.raises(DataError, match="one positive length per axis"):
            measure(BOX, spacing)
    with pytest.raises(UsageError, match=r"not 'croften'.*did you mean 'crofton'"):
        measure(BOX, estimator="croften")
