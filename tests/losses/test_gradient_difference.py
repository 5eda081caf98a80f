from __future__ import annotations

import pytest
import torch

from rockmonai.errors import DataError
from rockmonai.losses import GradientDifferenceLoss, gradient_difference_loss


def ramp(*slopes):
    """A plane that rises by these slopes along its axes, 5 and more voxels wide."""
    axes = torch.meshgrid(*(torch.arange(5.0 + n) for n in range(len(slopes))), indexing="ij")
    return sum(slope * axis for slope, axis in zip(slopes, axes, strict=True))[None, None]


@pytest.mark.parametrize(
    ("pred", "label"), [((0.1, -0.3), (0.4, 0.2)), ((0.1, 0.0, -0.5), (0.2, 0.3, 0.4)), ((-0.2, 0.1), (0.2, 0.1))]
)
def test_ramps_differ_by_their_steepness_along_each_axis(pred, label):
    expected = sum((abs(a) - abs(b)) ** 2 for a, b in zip(pred, label, strict=True))
    assert GradientDifferenceLoss()(ramp(*pred), ramp(*label)).item() == pytest.approx(expected, abs=1e-6)


def test_an_edge_costs_its_height_once():
    step = (torch.arange(11) >= 4).float().expand(1, 1, 6, 11)  # 1 of 10 neighbours along the rows differs
    assert gradient_difference_loss(torch.zeros_like(step), step).item() == pytest.approx(1 / 10)


def test_a_blurred_edge_learns_to_be_steep():
    step = (torch.arange(12) >= 6).float().expand(1, 1, 4, 12)
    pred = torch.linspace(0, 1, 12).expand(1, 1, 4, 12).clone().requires_grad_()
    before = gradient_difference_loss(pred, step)
    before.backward()
    assert (pred.grad[..., 5] > 0).all() and (pred.grad[..., 6] < 0).all()  # down before the edge, up behind it
    assert gradient_difference_loss(pred.detach() - 0.1 * pred.grad, step) < before


def test_half_precision_gives_a_full_precision_loss():
    label = torch.zeros(1, 1, 2, 2, dtype=torch.float16)
    pred = torch.tensor([[[[0.0, 300.0], [0.0, 300.0]]]], dtype=torch.float16)
    assert gradient_difference_loss(pred, label).item() == 300.0**2  # beyond the largest float16


@pytest.mark.parametrize(("shape", "words"), [((1, 1, 8, 1), "axis of one"), ((1, 1, 8, 4), "of one shape")])
def test_what_has_no_differences_is_refused(shape, words):
    with pytest.raises(DataError, match=words):
        gradient_difference_loss(torch.zeros(shape), torch.zeros(1, 1, 8, 1))
