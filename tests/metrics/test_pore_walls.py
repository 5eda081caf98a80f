from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.measure import perimeter_crofton

from rockmonai.errors import DataError
from rockmonai.metrics import RoughnessError, SpecificSurfaceError, TwoPointError, phase_error


def class_map(*masks: np.ndarray, phase: int = 2) -> torch.Tensor:
    """A batch (B, 1, ...) in which the masks are class ``phase`` and all else alternates between two others."""
    maps = torch.stack([torch.as_tensor(mask) for mask in masks])[:, None]
    others = 5 * (torch.arange(maps.shape[-1]) % 2).expand_as(maps)
    return torch.where(maps, phase, others)


def value(metric, pred: torch.Tensor, label: torch.Tensor) -> float:
    metric.update([pred, label])
    return metric.metric_fn.aggregate().item()


ROUGH = np.zeros((64, 64), bool)
ROUGH[16:48, 16:48] = True
ROUGH[15, 16:48:2] = ROUGH[48, 16:48:2] = True
SMOOTH = ndimage.binary_opening(ROUGH, np.ones((3, 3)))


def test_the_surface_of_a_smoothed_pore_is_less_by_its_teeth():
    expected = perimeter_crofton(SMOOTH) / perimeter_crofton(ROUGH) - 1
    assert expected < -0.15
    # scikit-image counts walls, not walls per pair: along y, x and the diagonals there are as many to 1 in 64.
    found = value(SpecificSurfaceError(2), class_map(SMOOTH), class_map(ROUGH).byte())
    assert found == pytest.approx(expected, abs=0.005)
    back = value(SpecificSurfaceError(2), class_map(ROUGH), class_map(SMOOTH))
    assert back == pytest.approx(1 / (1 + found) - 1)


def test_a_smoothed_wall_is_too_little_rough_wherever_it_lies():
    moved = np.roll(SMOOTH, 4, axis=1)
    assert value(RoughnessError(2), class_map(moved), class_map(ROUGH)) < -0.1
    assert value(RoughnessError(2), class_map(np.roll(ROUGH, 4, axis=1)), class_map(ROUGH)) == pytest.approx(
        0, abs=1e-6
    )


def test_twice_as_many_flat_walls_are_twice_the_surface_and_as_smooth():
    one, two = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    one[:32] = True
    two[:16] = two[48:] = True
    assert value(SpecificSurfaceError(2), class_map(two), class_map(one)) == pytest.approx(1)
    assert value(RoughnessError(2), class_map(two), class_map(one)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("metric", [SpecificSurfaceError, RoughnessError, TwoPointError])
@pytest.mark.parametrize("shape", [(64, 64), (33, 34, 35)])
def test_a_perfect_prediction_has_no_error(metric, shape):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).random(shape), 4)
    label = class_map(noise < np.median(noise), noise > np.quantile(noise, 0.7))
    assert value(metric(2), label.clone(), label) == 0


def test_pores_in_other_places_have_the_same_two_points():
    stripes = np.zeros((64, 64), bool)
    stripes[:, np.arange(64) % 8 < 4] = True
    shifted, across = ~stripes, stripes.T
    assert value(TwoPointError(2, lags=1), class_map(shifted), class_map(stripes)) == 0
    # Along one axis 1/2 and along the other 1/2, 0 at lags 0 and 4: the curves of the axes change places.
    assert value(TwoPointError(2, lags=5), class_map(across), class_map(stripes)) > 1


@pytest.mark.parametrize("metric", [SpecificSurfaceError, RoughnessError, TwoPointError])
def test_the_mean_is_over_the_labels_that_have_a_value(metric):
    empty = np.zeros((64, 64), bool)
    alone = value(metric(2), class_map(SMOOTH), class_map(ROUGH))
    both = metric(2)
    assert value(both, class_map(SMOOTH, ROUGH), class_map(ROUGH, empty)) == pytest.approx(alone)
    assert both.metric_fn.get_buffer().isnan().flatten().tolist() == [False, True]


def test_a_prediction_without_walls_lacks_all_of_them():
    empty = np.zeros((64, 64), bool)
    assert value(SpecificSurfaceError(2), class_map(empty), class_map(ROUGH)) == -1


def test_logits_are_no_classes():
    with pytest.raises(DataError, match="take the argmax"):
        phase_error(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4), 1, lambda pred, label: 0.0)
