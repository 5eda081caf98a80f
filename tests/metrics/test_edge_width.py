from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.special import ndtr, ndtri

from rockmonai.errors import DataError
from rockmonai.metrics import EdgeWidth, edge_width

# Of an edge that a Gaussian has blurred, in its standard deviations: 2.563.
TEN_TO_NINETY = float(ndtri(0.9) - ndtri(0.1))


def batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image)[None, None]


def plane(*normal: float, side: int = 64) -> np.ndarray:
    """Return the distance of each voxel of a cube from a plane near its middle."""
    places = np.moveaxis(np.indices((side,) * len(normal)), 0, -1) - (side - 1) / 2
    return places @ normal / np.linalg.norm(normal) + 0.1


def ball(radius: float, dims: int, side: int = 64) -> np.ndarray:
    """Return the depth of each voxel in a disc or a ball."""
    return radius - np.linalg.norm(np.indices((side,) * dims) - side / 2, axis=0)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0])
@pytest.mark.parametrize(
    "depth", [plane(1, 0), plane(1, 1), plane(2, 1), plane(6, 1), ball(10.2, 2), ball(20.0, 2), ball(11.6, 3, 40)]
)
def test_an_edge_blurred_by_a_gaussian_has_its_width(depth, sigma):
    image = 7 - 3 * ndtr(depth / sigma)
    found = edge_width(batch(image), batch(depth > 0), 1)
    assert found.item() == pytest.approx(TEN_TO_NINETY * sigma, rel=0.05)


def test_either_side_of_a_wall_shows_the_same_width():
    depth = plane(3, 1)
    image, classes = batch(ndtr(depth / 1.5)), batch((depth > 0).astype(np.uint8))
    assert edge_width(image, classes, 0).item() == pytest.approx(edge_width(image, classes, 1).item(), rel=1e-3)


def test_a_step_is_a_voxel_wide_at_most():
    depth = plane(0, 1)
    assert edge_width(batch((depth > 0) * 1.0), batch(depth > 0), 1).item() <= 1


def test_noise_hardly_widens_an_edge():
    depth = ball(20.0, 3, 56)
    image = ndtr(depth / 1.5) + np.random.default_rng(0).normal(0, 0.3, depth.shape)
    assert edge_width(batch(image), batch(depth > 0), 1).item() == pytest.approx(TEN_TO_NINETY * 1.5, rel=0.05)


def test_walls_of_a_rock_are_as_blurred_as_the_filter():
    fine = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(400, 400)), 20, mode="wrap")
    classes = fine > 0
    image = ndimage.gaussian_filter(classes * 1.0, 2.0)
    assert edge_width(batch(image), batch(classes), 1).item() == pytest.approx(TEN_TO_NINETY * 2, rel=0.05)


@pytest.mark.parametrize("inside", [np.zeros((20, 20)), np.ones((20, 20)), np.eye(20), plane(1, 0, side=12) > 0])
def test_without_a_wall_or_a_plateau_there_is_no_width(inside):
    assert math.isnan(edge_width(batch(inside * 1.0), batch(inside), 1).item())


def test_images_without_a_wall_are_left_out_of_the_mean():
    depth = plane(1, 0)
    image, classes = batch(ndtr(depth / 1.5)).float(), batch(depth > 0)
    metric = EdgeWidth(1)
    assert metric.keys == ("pred", "semantic")
    metric.update([torch.cat([image, image]), torch.cat([classes, torch.zeros_like(classes)])])
    assert metric.metric_fn.aggregate().item() == pytest.approx(TEN_TO_NINETY * 1.5, rel=0.05)


def test_a_class_map_of_another_grid_is_refused():
    with pytest.raises(DataError, match="must be"):
        edge_width(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 4, 4), 1)
