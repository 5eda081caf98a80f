from __future__ import annotations

import math

import pytest
import torch

from rockmonai.errors import UsageError
from rockmonai.losses import AdversarialLoss

REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


# -log sigmoid(x) is softplus(-x); -log(1 - sigmoid(x)) is softplus(x).
DISCRIMINATOR = {
    "vanilla": (softplus(-2) + softplus(1) + softplus(0.5) + softplus(-3)) / 4,
    "lsgan": ((2 - 1) ** 2 + (-1 - 1) ** 2 + 0.5**2 + 3**2) / 4,
    "wgangp": (-(2 - 1) / 2 + (0.5 - 3) / 2) / 2,
}
GENERATOR = {
    "vanilla": (softplus(-0.5) + softplus(3)) / 2,
    "lsgan": ((0.5 - 1) ** 2 + (-3 - 1) ** 2) / 2,
    "wgangp": -(0.5 - 3) / 2,
}


@pytest.mark.parametrize("mode", DISCRIMINATOR)
def test_discriminator_pays_half_for_reals_and_half_for_fakes(mode):
    assert AdversarialLoss(mode).for_discriminator(REAL, FAKE).item() == pytest.approx(DISCRIMINATOR[mode])


@pytest.mark.parametrize("mode", GENERATOR)
def test_generator_pays_its_weight_times_not_being_taken_for_real(mode):
    assert AdversarialLoss(mode, weight=5).for_generator(FAKE).item() == pytest.approx(5 * GENERATOR[mode])


def test_smoothing_moves_the_target_of_the_reals_only():
    smooth = AdversarialLoss("lsgan", smoothing=0.1)
    on_reals = ((2 - 0.9) ** 2 + (-1 - 0.9) ** 2) / 2
    on_fakes = (0.5**2 + 3**2) / 2
    assert smooth.for_discriminator(REAL, FAKE).item() == pytest.approx((on_reals + on_fakes) / 2)
    assert smooth.for_generator(FAKE).item() == pytest.approx(GENERATOR["lsgan"])


def test_a_certain_discriminator_still_teaches_the_generator():
    logits = torch.tensor([-200.0], requires_grad=True)
    AdversarialLoss("vanilla").for_generator(logits).backward()
    assert logits.grad.item() == pytest.approx(-1)


def test_half_precision_logits_give_a_full_precision_loss():
    loss = AdversarialLoss("lsgan").for_generator(torch.tensor([300.0], dtype=torch.float16))
    assert loss.item() == 299.0**2  # beyond the largest float16


@pytest.mark.parametrize(
    ("options", "words"),
    [({"mode": "lsgn"}, "did you mean 'lsgan'"), ({"mode": "wgangp", "smoothing": 0.1}, "no target to smooth")],
)
def test_refuses_what_it_cannot_be(options, words):
    with pytest.raises(UsageError, match=words):
        AdversarialLoss(**options)


def test_losses_of_one_game_add_up_each_over_its_channels():
    reals, fakes = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, -3.0]])
    game = AdversarialLoss(weight=3.0, channels=[1], others=[AdversarialLoss("lsgan", weight=2.0, channels=[0])])
    assert game.for_generator(fakes).item() == pytest.approx(3 * softplus(3) + 2 * (0.5 - 1) ** 2)
    ours, other = (softplus(1) + softplus(-3)) / 2, ((2 - 1) ** 2 + 0.5**2) / 2
    assert game.for_discriminator(reals, fakes).item() == pytest.approx(ours + other)
