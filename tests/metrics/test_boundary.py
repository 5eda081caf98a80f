from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from skimage.draw import disk
from skimage.segmentation import find_boundaries

from rockmonai.errors import DataError
from rockmonai.metrics import BoundaryF, boundary_f


def square(size: int, y: int, x: int, side: int = 32) -> torch.Tensor:
    image = torch.zeros(1, 1, side, side, dtype=torch.int64)
    image[..., y : y + size, x : x + size] = 1
    return image


def circle(radius: float) -> torch.Tensor:
    image = np.zeros((64, 64), np.uint8)
    image[disk((32, 32), radius)] = 1
    return torch.from_numpy(image)[None, None]


def test_a_square_that_is_moved_by_one_voxel_meets_two_of_its_sides():
    # The outline of a square of 10 has 36 voxels; moved along x, its upper and lower sides share 9 voxels each with
    # the first outline, and nothing else does.
    label, pred = square(10, 8, 8), square(10, 8, 9)
    assert boundary_f(pred, label, 1, tolerance=0).item() == pytest.approx(18 / 36)
    assert boundary_f(pred, label, 1, tolerance=1).item() == 1


def test_circles_meet_from_the_difference_of_their_radii_on():
    small, large = circle(12), circle(15)
    assert boundary_f(small, large, 1, tolerance=2).item() == 0
    assert boundary_f(small, large, 1, tolerance=4).item() == 1


def test_precision_and_recall_are_averaged_harmonically():
    # A square inside the label's four: all of the prediction's outline is right, a quarter of the label's is found.
    corners = [(2, 2), (2, 20), (20, 2), (20, 20)]
    label = torch.stack([square(8, *corner) for corner in corners]).amax(0)
    assert boundary_f(square(8, 2, 2), label, 1).item() == pytest.approx(2 * 1 * 0.25 / 1.25)


@pytest.mark.parametrize("tolerance", [0, 1, 1.5, 2])
@pytest.mark.parametrize("shape", [(3, 1, 40, 30), (2, 1, 14, 15, 16)])
def test_agrees_with_outlines_and_distances_of_others(shape, tolerance):
    blobs = torch.nn.functional.interpolate(
        torch.rand(2 * shape[0], 1, *[4] * (len(shape) - 2), generator=torch.Generator().manual_seed(0)), shape[2:]
    )
    pred, label = (3 * blobs).long().split(shape[0])
    pred = pred.roll(1, dims=-1)
    for phase in range(3):
        expected = []
        for one, other in zip((pred == phase).numpy(), (label == phase).numpy(), strict=True):
            a, b = (np.argwhere(find_boundaries(mask[0], connectivity=1, mode="inner")) for mask in (one, other))
            precision = (cKDTree(b).query(a)[0] <= tolerance).mean()
            recall = (cKDTree(a).query(b)[0] <= tolerance).mean()
            expected.append(2 * precision * recall / max(precision + recall, 1e-9))
        assert boundary_f(pred, label, phase, tolerance).tolist() == pytest.approx(expected)


def test_the_border_of_the_image_is_no_boundary():
    half = torch.zeros(1, 1, 8, 8)
    half[..., :4] = 1
    other = torch.zeros(1, 1, 8, 8)
    other[..., :6] = 1  # along the border they agree, their edges are two voxels apart
    assert boundary_f(other, half, 1, tolerance=1).item() == 0
    assert boundary_f(other, half, 1, tolerance=2).item() == 1


def test_without_any_boundary_there_is_nothing_to_judge():
    empty, full = torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32)
    assert boundary_f(empty, empty, 1).isnan() and boundary_f(full, empty, 1).isnan()
    assert boundary_f(empty, square(4, 3, 3), 1).item() == boundary_f(square(4, 3, 3), empty, 1).item() == 0


def test_the_mean_is_that_of_the_classes_with_a_boundary():
    label, pred = square(10, 8, 8), square(10, 8, 9)
    label[0, 0, 20, 20] = 2
    pred, label = torch.cat([pred, square(4, 2, 2)]), torch.cat([label, square(4, 2, 2)])
    single = torch.stack([boundary_f(pred, label, phase, 0) for phase in range(3)])
    assert single[2].nan_to_num(9).tolist() == [0, 9]
    assert boundary_f(pred, label, tolerance=0).tolist() == pytest.approx(single.nanmean(0).tolist())


def test_the_mean_over_images_leaves_out_those_without_a_boundary():
    metric = BoundaryF(phase=1, tolerance=0)
    empty = torch.zeros(1, 32, 32, dtype=torch.int64)
    metric.update([[square(10, 8, 9)[0], empty], [square(10, 8, 8)[0], empty]])
    value = metric.metric_fn.aggregate().item()
    assert value == pytest.approx(0.5) and not math.isnan(value)


def test_logits_are_no_classes():
    with pytest.raises(DataError, match="take the argmax"):
        boundary_f(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4), 1)
