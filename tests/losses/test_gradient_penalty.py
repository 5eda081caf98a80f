from __future__ import annotations

import pytest
import torch
from torch import nn

from rockmonai.losses import gradient_penalty


@pytest.mark.parametrize("shape", [(4, 2, 6), (4, 1, 5, 6), (4, 1, 3, 4, 5)])
def test_a_plane_of_slope_three_pays_four(shape):
    direction = torch.randn(shape[1:])
    direction *= 3 / direction.norm()

    def plane(x: torch.Tensor) -> torch.Tensor:
        return (x * direction).flatten(1).sum(1)

    assert gradient_penalty(plane, torch.rand(shape), torch.rand(shape)).item() == pytest.approx(4, rel=1e-5)


def test_looks_where_alpha_says():
    real, fake = torch.full((2, 1, 1, 1), 4.0), torch.full((2, 1, 1, 1), 1.0)
    # The parabola's slope is 2 z; z is 4 (all real) for one sample and 1.75 (a quarter real) for the other.
    penalty = gradient_penalty(torch.square, real, fake, alpha=torch.tensor([1.0, 0.25]))
    assert penalty.item() == pytest.approx(((8 - 1) ** 2 + (3.5 - 1) ** 2) / 2)


def test_alpha_is_drawn_anew_for_each_sample():
    torch.manual_seed(0)
    seen = []

    def watch(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.detach().flatten())
        return x.sum()

    gradient_penalty(watch, torch.ones(1000, 1, 1, 1), torch.zeros(1000, 1, 1, 1))
    assert seen[0].mean().item() == pytest.approx(1 / 2, abs=0.03)
    assert seen[0].var().item() == pytest.approx(1 / 12, abs=0.01)


def test_teaches_the_discriminator_and_leaves_the_generator_alone():
    discriminator = nn.Conv2d(1, 1, 3)
    fake = torch.rand(2, 1, 8, 8, requires_grad=True)
    gradient_penalty(discriminator, torch.rand(2, 1, 8, 8), fake).backward()
    assert discriminator.weight.grad.abs().sum() > 0
    assert fake.grad is None


def test_a_dead_discriminator_gets_finite_gradients():
    discriminator = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.zeros_(discriminator.weight)
    penalty = gradient_penalty(discriminator, torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4))
    penalty.backward()
    assert penalty.item() == pytest.approx(1)
    assert torch.isfinite(discriminator.weight.grad).all()
