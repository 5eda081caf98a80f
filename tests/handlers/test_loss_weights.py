"""Weights that follow the losses, in games whose losses are known functions of the weights."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from torch import nn

from rockmonai.engines import GANTrainer
from rockmonai.errors import UsageError
from rockmonai.handlers import BalancedWeights, Checkpoints, TargetDiscriminatorLoss
from rockmonai.handlers.loss_weights import secant
from rockmonai.losses import AdversarialLoss, LossTerm

IMAGE = torch.arange(64.0).view(1, 1, 8, 8) / 32 - 1


def constant(value):
    """A loss that the network cannot change."""
    return lambda pred, label: value + 0 * pred.sum()


def trainer_of(*handlers, losses, epochs=3, warmup_epochs=1, **options):
    torch.manual_seed(0)
    network, discriminator = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3)
    nn.init.zeros_(discriminator.weight)
    nn.init.zeros_(discriminator.bias)
    return GANTrainer(
        device="cpu",
        max_epochs=epochs,
        train_data_loader=[{"image": IMAGE, "label": IMAGE.flip(2)}] * 3,
        network=network,
        optimizer=torch.optim.Adam(network.parameters(), 0.01),
        losses=losses,
        discriminator=discriminator,
        d_optimizer=torch.optim.Adam(discriminator.parameters(), options.pop("d_lr", 0.0)),
        adversarial=AdversarialLoss(options.pop("mode", "vanilla"), weight=options.pop("weight", 0.005)),
        warmup_epochs=warmup_epochs,
        train_handlers=handlers,
        **options,
    )


def weights_of(trainer):
    return {term.name: term.weight for term in trainer.losses} | {"adversarial": trainer.adversarial.weight}


def record(trainer, weights):
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: weights.append(weights_of(trainer)))


@pytest.mark.parametrize("d_steps", [1, 2])
def test_after_an_epoch_of_the_game_terms_have_their_shares_and_keep_them(d_steps):
    losses = [LossTerm("pixel", constant(2.0), 10.0), LossTerm("vgg", constant(0.25), 1e-5)]
    trainer = trainer_of(BalancedWeights({"vgg": 0.5, "adversarial": 0.1}), losses=losses, epochs=4, d_steps=d_steps)
    seen = []
    record(trainer, seen)
    trainer.run()
    configured = {"pixel": 10.0, "vgg": 1e-5, "adversarial": 0.005}
    # A discriminator that knows nothing costs the generator ln 2.
    balanced = {"pixel": 10.0, "vgg": 0.5 * 20 / 0.25, "adversarial": 0.1 * 20 / math.log(2)}
    # The first epoch warms up, the second is measured.
    assert seen[:6] == [configured] * 6
    for weights in seen[6:]:
        assert weights == pytest.approx(balanced, rel=1e-6)
    if d_steps == 1:
        assert trainer.state.losses["vgg"] == pytest.approx(0.5 * trainer.state.losses["pixel"])
        assert trainer.state.losses["adversarial"] == pytest.approx(0.1 * trainer.state.losses["pixel"])


def test_the_mean_over_the_epoch_decides():
    values = iter([1.0, 2.0, 9.0, 1.0, 1.0, 1.0])
    losses = [LossTerm("pixel", constant(3.0)), LossTerm("vgg", lambda pred, label: next(values) + 0 * pred.sum())]
    trainer = trainer_of(BalancedWeights({"vgg": 1.0}), losses=losses, epochs=2, warmup_epochs=0)
    seen = []
    record(trainer, seen)
    trainer.run()
    assert seen[3]["vgg"] == pytest.approx(3 / 4)


@pytest.mark.parametrize(("loss", "bound"), [(0.0, 50.0), (1e-12, 50.0), (1e12, 0.02)])
def test_bounds_hold_a_weight_whose_loss_vanishes_or_explodes(loss, bound):
    losses = [LossTerm("pixel", constant(1.0)), LossTerm("vgg", constant(loss))]
    trainer = trainer_of(BalancedWeights({"vgg": 0.5}, bounds=(0.02, 50.0)), losses=losses)
    trainer.run()
    assert weights_of(trainer)["vgg"] == bound


def test_an_overflow_is_not_measured():
    values = iter([4.0, math.inf, 4.0, 4.0, 4.0, 4.0])
    losses = [LossTerm("pixel", constant(1.0)), LossTerm("vgg", lambda pred, label: next(values) + 0 * pred.sum())]
    trainer = trainer_of(BalancedWeights({"vgg": 1.0}), losses=losses, epochs=2, warmup_epochs=0)
    trainer.run()
    assert weights_of(trainer)["vgg"] == pytest.approx(0.25)


def test_without_a_game_weights_stay():
    losses = [LossTerm("pixel", constant(1.0)), LossTerm("vgg", constant(1.0))]
    trainer = trainer_of(BalancedWeights({"vgg": 0.5}), losses=losses, warmup_epochs=3)
    trainer.run()
    assert weights_of(trainer)["vgg"] == 1.0


def test_the_weights_of_an_iteration_are_left_for_the_record():
    losses = [LossTerm("pixel", constant(1.0)), LossTerm("vgg", constant(4.0))]
    trainer = trainer_of(BalancedWeights({"vgg": 0.5}), losses=losses)
    trainer.run()
    assert trainer.state.figures == {"vgg_weight": pytest.approx(0.125)}


class Game(Engine):
    """A training whose discriminator's loss is a known function of the adversarial weight."""

    def __init__(self, loss_at, weight, warmup_epochs=0):
        super().__init__(self.play)
        self.loss_at, self.warmup_epochs, self.losses = loss_at, warmup_epochs, []
        self.adversarial, self.seen = AdversarialLoss(weight=weight), []

    @property
    def phase(self):
        return "adversarial" if self.state.epoch > self.warmup_epochs else "warmup"

    def play(self, engine, batch):
        self.seen.append(self.adversarial.weight)
        self.state.losses = {"discriminator": self.loss_at(self.adversarial.weight)}


def played(loss_at, epochs, weight=0.01, warmup_epochs=0, **options):
    game = Game(loss_at, weight, warmup_epochs)
    TargetDiscriminatorLoss(**options).attach(game)
    game.run([0, 1], max_epochs=epochs)
    return game.seen[::2]


def test_the_secant_of_a_logarithm_is_on_the_target_in_two_steps():
    """The loss is 0.2 + 0.1 ln(weight / 0.01): a probe of a factor 2, then exactly exp(3)."""
    weights = played(lambda weight: 0.2 + 0.1 * math.log(weight / 0.01), 4, target=0.5, interval=1)
    assert weights == pytest.approx([0.01, 0.02, 0.2, 0.01 * math.exp(3)])  # no step exceeds a factor of 10


def test_the_search_finds_the_target_of_a_bent_curve():
    weights = played(lambda weight: math.log(2) * weight / (weight + 0.3), 12, weight=0.005, target=0.5, interval=1)
    assert weights[-1] == pytest.approx(0.3 * 0.5 / (math.log(2) - 0.5), rel=1e-4)


def test_it_steps_every_interval_of_the_game_by_the_mean_loss():
    weights = played(lambda weight: 0.4, 6, warmup_epochs=1, target=0.5, interval=2)
    assert weights == pytest.approx([0.01, 0.01, 0.01, 0.02, 0.02, 0.04])


def test_an_unreachable_target_leaves_the_weight_at_its_bound():
    assert played(lambda weight: 0.1, 9, target=0.5, interval=1, bounds=(1e-3, 0.05))[-1] == 0.05
    assert played(lambda weight: 0.6, 9, target=0.5, interval=1, bounds=(1e-3, 0.05))[-1] == 1e-3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((1.0, 0.4, 0.5), 2.0),
        ((1.0, 0.6, 0.5), 0.5),
        ((1.0, 0.5, 0.5), 1.0),
        ((4.0, 0.4, 0.5, 2.0, 0.3), 8.0),  # a doubling raised the loss by 0.1, and another is needed
        ((4.0, 0.4, 0.5, 2.0, 0.45), 8.0),  # fell while the weight rose: noise
        ((4.0, 0.4, 0.5, 4.0, 0.45), 8.0),  # the weight was held
        ((4.0, 0.4, 0.5, 2.0, 0.3999), 40.0),  # as good as flat
        ((4.0, 0.4, 0.3, 2.0, 0.3999), 0.4),
    ],
)
def test_a_step_follows_the_secant_where_there_is_a_sound_one(arguments, expected):
    assert secant(*arguments) == pytest.approx(expected)


def test_a_resumed_run_sets_the_same_weights(tmp_path):
    """Stopped amid the third epoch, whose first iterations were already measured."""

    def trained(folder, crash_at=None, resume=False):
        torch.manual_seed(0)
        losses = [LossTerm("pixel", nn.L1Loss(), 10.0), LossTerm("square", nn.MSELoss())]
        handlers = [BalancedWeights({"square": 0.5}), TargetDiscriminatorLoss(0.5, interval=2)]
        trainer = trainer_of(*handlers, losses=losses, epochs=6, d_lr=0.01)
        objects = {
            "discriminator": trainer.discriminator,
            "optimizer": trainer.optimizer,
            "d_optimizer": trainer.d_optimizer,
        }
        Checkpoints(str(folder), trainer.network, objects, iterations=1, resume=resume).attach(trainer)
        trail = []
        record(trainer, trail)
        if crash_at is None:
            trainer.run()
            return trail, torch.cat([values.detach().flatten() for values in trainer.network.parameters()])

        def crash():
            raise ConnectionError

        trainer.add_event_handler(Events.ITERATION_STARTED(once=crash_at), crash)
        with pytest.raises(ConnectionError):
            trainer.run()
        return trail, None

    trail, network = trained(tmp_path / "whole")
    changes = [sum(a[name] != b[name] for a, b in pairwise(trail)) for name in ("square", "adversarial")]
    assert changes == [4, 2]
    before, _ = trained(tmp_path / "run", crash_at=9)
    after, same_network = trained(tmp_path / "run", resume=True)
    assert before + after == trail
    assert torch.equal(network, same_network)


def test_ranks_set_the_same_weights_by_their_mean_loss(monkeypatch):
    def loss_at(weight):
        return 0.3 + 0.1 * math.log(weight / 0.01)

    expected = played(lambda weight: loss_at(weight) + 0.1, 4, target=0.5, interval=1)
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    # What the other rank adds: its loss is larger by 0.2 throughout.
    monkeypatch.setattr(dist, "all_reduce", lambda values: values.add_(values + 0.2))
    assert played(loss_at, 4, target=0.5, interval=1) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("handler", "options", "words"),
    [
        (BalancedWeights({"vvg": 0.5}), {}, r"'vvg' \(did you mean 'vgg'\?\)"),
        (BalancedWeights({"vgg": 0.5}, reference="l1"), {}, "balanced by 'l1'"),
        (BalancedWeights({"off": 0.5}), {}, "give it a weight above 0"),
        (BalancedWeights({"adversarial": 0.5}), {"weight": 0.0}, "'adversarial', .* give it a weight above 0"),
        (TargetDiscriminatorLoss(), {"weight": 0.0}, "found a weight of 0: give it one above 0"),
        (TargetDiscriminatorLoss(), {"mode": "wgangp"}, "a Wasserstein critic, whose loss has no scale"),
    ],
)
def test_losses_that_are_not_there_are_told_before_the_training(handler, options, words):
    losses = [LossTerm("pixel", constant(1.0)), LossTerm("vgg", constant(1.0)), LossTerm("off", constant(1.0), 0.0)]
    with pytest.raises(UsageError, match=words):
        trainer_of(handler, losses=losses, **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (BalancedWeights, {"shares": {"vgg": 0.0}}),
        (BalancedWeights, {"shares": {"pixel": 0.5}}),
        (BalancedWeights, {"shares": {"vgg": 0.5}, "bounds": [0.0, 1.0]}),
        (TargetDiscriminatorLoss, {"bounds": [1.0, 0.1]}),
        (TargetDiscriminatorLoss, {"interval": 0}),
        (TargetDiscriminatorLoss, {"target": 0.0}),
    ],
)
def test_impossible_arguments_are_refused(kind, options):
    with pytest.raises(UsageError, match="found"):
        kind(**options)
