from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.losses import JacobianPenalty, jacobian_penalty


@pytest.fixture(name="weight")
def _weight() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(7, 12)


def test_exact_penalty_of_a_linear_map_is_half_its_squared_norm(weight):
    image = torch.randn(3, 1, 3, 4, requires_grad=True)
    pred = image.flatten(1) @ weight.T
    assert jacobian_penalty(pred, image, -1).item() == pytest.approx(weight.square().sum().item() / 2, rel=1e-5)


def test_random_projections_converge_to_it(weight):
    image = torch.randn(50, 12, requires_grad=True)
    found = jacobian_penalty(image @ weight.T, image, projections=400).item()
    assert found == pytest.approx(weight.square().sum().item() / 2, rel=0.02)


def test_a_single_output_needs_no_luck(weight):
    image = torch.randn(4, 12, requires_grad=True)
    pred = image @ weight[:1].T
    assert jacobian_penalty(pred, image).item() == pytest.approx(weight[0].square().sum().item() / 2, rel=1e-5)


def test_matches_autograds_jacobian_of_a_nonlinear_network():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Conv2d(3, 1, 1))
    image = torch.randn(2, 1, 4, 5, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(network, image)  # every output by every input of the batch
    expected = jacobian.square().sum().item() / (2 * 2)
    assert jacobian_penalty(network(image), image, -1).item() == pytest.approx(expected, rel=1e-5)


def test_its_own_gradient_is_right(weight):
    weight = weight.clone().requires_grad_()
    image = torch.randn(2, 12, requires_grad=True)
    jacobian_penalty(torch.tanh(image @ weight.T), image, -1).backward()

    def closed_form(weight: torch.Tensor) -> torch.Tensor:  # d tanh(u) = (1 - tanh(u) ** 2) du
        slope = 1 - torch.tanh(image.detach() @ weight.T) ** 2
        return (slope.square() * weight.square().sum(1)).sum() / (2 * 2)

    (expected,) = torch.autograd.grad(closed_form(weight), weight)
    torch.testing.assert_close(weight.grad, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_as_a_loss_it_trains_a_network_of_any_dimension(dims):
    network = nn.Upsample(scale_factor=2)
    convolution = (nn.Conv2d, nn.Conv3d)[dims - 2](1, 1, 3)
    image = MetaTensor(torch.rand(2, 1, *[5] * dims)).requires_grad_()
    JacobianPenalty()(network(convolution(image)), image).backward()
    assert convolution.weight.grad.abs().sum() > 0


def test_asks_for_a_gradient_to_follow():
    image = torch.rand(1, 1, 4, 4)
    with pytest.raises(UsageError, match=r"image.requires_grad_\(\) before the network"):
        jacobian_penalty(nn.Conv2d(1, 1, 3)(image), image)


@pytest.mark.parametrize("projections", [0, -2])
def test_refuses_no_projection(projections):
    image = torch.rand(1, 4, requires_grad=True)
    with pytest.raises(UsageError, match=f"found {projections}"):
        jacobian_penalty(2 * image, image, projections)
