"""Trainings that fail on purpose, between images and their doubles, by generators of one weight each."""

from __future__ import annotations

import math

import pytest
import torch
import torch.distributed as dist
from ignite.engine import Events
from torch import nn

import rockmonai.handlers.tuner
from rockmonai.engines import CycleGANTrainer, GANTrainer
from rockmonai.errors import UsageError
from rockmonai.handlers import Checkpoints, History, KeyedRandomness, Tuner, newest_checkpoint
from rockmonai.handlers.retuning import moved_weights, rates_of, weights_of
from rockmonai.losses import AdversarialLoss, LossTerm
from tests.handlers.test_checkpoints import assert_same

CYCLES = (
    LossTerm("cycle_image", nn.L1Loss(), 90.0, ["recovered_image", "image"]),
    LossTerm("cycle_label", nn.L1Loss(), 90.0, ["recovered_label", "label"]),
)
WEIGHTS = {"cycle_image": 90.0, "cycle_label": 90.0, "adversarial": 9.0, "discriminator": 1.0}


def trainer_of(*handlers, iterations, losses=CYCLES, bias=5.0, epoch_length=10, contrast=1.0, **options):
    """Return a trainer whose discriminators take nearly everything for real, or, with a negative bias, for a fake."""
    torch.manual_seed(0)
    network, reverse, *judges = parts = [nn.Conv2d(1, 1, 1) for _ in range(4)]
    for part, weight, grey in zip(parts, (1.8, 0.6, 0.0, 0.0), (0.0, 0.0, bias, bias), strict=True):
        nn.init.constant_(part.weight, weight)
        nn.init.constant_(part.bias, grey)
    image, label = contrast * torch.randn(2, 2, 1, 8, 8)
    return CycleGANTrainer(
        device="cpu",
        max_epochs=iterations // epoch_length,
        train_data_loader=[{"image": image, "label": 2 * label}] * epoch_length,
        network=network,
        reverse_network=reverse,
        optimizer=torch.optim.Adam([*network.parameters(), *reverse.parameters()], 1e-3),
        losses=losses,
        discriminator_image=judges[0],
        discriminator_label=judges[1],
        d_optimizer=torch.optim.Adam([p for judge in judges for p in judge.parameters()], 1e-4),
        adversarial=options.pop("adversarial", AdversarialLoss(weight=9.0)),
        train_handlers=handlers,
        **options,
    )


class Flip:
    """Inverts the contrast of both generators before some iterations, which no cycle loss notices."""

    def __init__(self, *iterations):
        self.iterations = iterations

    def attach(self, engine):
        engine.add_event_handler(Events.ITERATION_STARTED, self)

    def __call__(self, engine):
        if engine.state.iteration in self.iterations:
            for network in (engine.network, engine.reverse_network):
                network.weight.data.abs_().neg_()


def each(trainer, measure):
    """Return the list that will hold what is measured after every iteration."""
    found = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: found.append(measure(trainer)))
    return found


def greys(trainer):
    return trainer.network.weight.item(), trainer.reverse_network.weight.item()


def adam_step(trainer):
    state = trainer.optimizer.state_dict()["state"]
    return int(state[0]["step"]) if state else 0


def values_of(trainer):
    groups = trainer.optimizer.param_groups + trainer.d_optimizer.param_groups
    return torch.cat([p.detach().flatten() for group in groups for p in group["params"]])


def test_a_planted_inversion_is_caught_and_undone(caplog):
    trainer = trainer_of(Flip(35), Tuner(10, 20), iterations=60, pool_size=2)
    seen, steps = each(trainer, greys), each(trainer, adam_step)
    pools = each(trainer, lambda t: [fake.flatten().tolist() for pool in t.pools.values() for fake in pool.fakes])
    trainer.run()
    assert min(seen[19]) > 0 > max(seen[34]) and max(seen[38]) < 0
    # The check after iteration 40 returns to iteration 20, with optimisers and pools, and training goes on from there.
    assert seen[39] == seen[19] and pools[39] == pools[19] != pools[38]
    assert steps[38:41] == [39, 20, 21]
    assert all(min(pair) > 0 for pair in seen[39:])
    assert seen[-1] != seen[39] and trainer.state.tuner["rollbacks"] == 1
    assert "failed by iteration 40 (score 20, flip 20, rise" in caplog.text
    assert "taken back by 20 iterations and goes on with the weights cycle_image 90, cycle_label 90" in caplog.text


def test_a_sound_training_is_not_touched():
    with_tuner, without = trainer_of(Tuner(10, 20), iterations=50), trainer_of(iterations=50)
    scores = each(with_tuner, lambda t: getattr(t.state, "figures", {}).get("tuner_score", math.nan))
    with_tuner.run()
    without.run()
    assert [score < 1 for score in scores] == [False] * 29 + [True] * 21
    assert torch.equal(values_of(with_tuner), values_of(without))
    assert weights_of(with_tuner) == WEIGHTS


def test_the_first_return_restores_the_weights_and_the_second_moves_them():
    trainer = trainer_of(Flip(35, 55), Tuner(10, 20), iterations=70)
    weights, rates = each(trainer, weights_of), each(trainer, rates_of)
    trainer.run()
    assert weights[:59] == [WEIGHTS] * 59
    assert all(weights[59][name] != weight for name, weight in WEIGHTS.items())
    assert sum(weights[59].values()) == pytest.approx(190)
    assert weights[59:] == [weights[59]] * 11
    # Discriminators that take all for real are right in one half of the cases: a quarter of the rate suits either side.
    first = (1 + 0.25 * 0.99998**40) / 2
    second = (first + 0.25 * 0.99998**40) / 2
    for place, factor in ((38, 1.0), (39, first), (58, first), (59, second), (69, second)):
        assert rates[place] == [[pytest.approx(1e-3 * factor)], [pytest.approx(1e-4 * factor)]]


def test_after_ten_vain_attempts_it_goes_back_further_but_never_beyond_what_it_has():
    trainer = trainer_of(Flip(*range(31, 999)), Tuner(5, 10), iterations=140)
    steps, seen = each(trainer, adam_step), each(trainer, greys)
    trainer.run()
    assert steps[:34] == [*range(1, 35)]
    assert steps[34::5] == [25] * 10 + [20] * 12
    assert seen[34::5] == [seen[24]] * 10 + [seen[19]] * 12


def test_a_training_that_fails_from_the_beginning_returns_to_it():
    trainer = trainer_of(Flip(*range(1, 999)), Tuner(5, 10), iterations=20)
    seen, steps = each(trainer, greys), each(trainer, adam_step)
    trainer.run()
    assert seen[14] == (pytest.approx(1.8), pytest.approx(0.6))
    assert steps[15:] == [1, 2, 3, 4, 5]


def test_a_return_to_the_beginning_brings_the_kickstart_back():
    trainer = trainer_of(Flip(*range(1, 16)), Tuner(5, 10), iterations=20, kickstart=1.0, kickstart_steps=12)
    seen = []
    trainer.reverse_network.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    trainer.run()
    image = trainer.data_loader[0]["image"]
    # In every iteration it sees the label, and then the image itself or what the network made of it.
    assert [torch.equal(one, image) for one in seen[1::2]] == [True] * 12 + [False] * 3 + [True] * 5


@pytest.mark.parametrize(("bias", "raised"), [(5.0, {"discriminator"}), (-5.0, {"discriminator", "adversarial"})])
def test_exploring_raises_what_does_not_fall_and_who_is_losing(monkeypatch, bias, raised):
    """One cycle falls by 2, the other by 1 an iteration, where the mean is 1.5."""
    asked = []

    def spy(weights, draw, spread, wanted, gain):
        asked.append((spread, wanted, gain))
        return moved_weights(weights, draw, spread, wanted, gain)

    monkeypatch.setattr(rockmonai.handlers.tuner, "moved_weights", spy)
    fast, slow = (iter([(20 - n) * fall / 100 for n in range(15)]) for fall in (2, 1))
    losses = [
        LossTerm("fast", lambda a, b: next(fast) + 0 * a.sum(), 100.0, ["recovered_image", "image"]),
        LossTerm("slow", lambda a, b: next(slow) + 0 * a.sum(), 10.0, ["recovered_label", "label"]),
    ]
    trainer = trainer_of(Tuner(5, 10, explore=True), iterations=15, epoch_length=15, losses=losses, bias=bias)
    trainer.run()
    assert asked == [((-0.3, 0.7), raised | {"slow"}, 1.2)]
    assert weights_of(trainer) != {"fast": 100.0, "slow": 10.0, "adversarial": 9.0, "discriminator": 1.0}
    assert sum(weights_of(trainer).values()) == pytest.approx(120)


@pytest.mark.parametrize(
    ("values", "between", "score"),
    [
        ([0.1] * 15 + [3.0] * 5, ["pred", "label"], "38, flip 0, rise 38, cycle 0"),  # (30 / 3 - 1) + (30 - 1)
        ([0.1] * 15 + [0.9] * 5, ["recovered_image", "image"], "10, flip 0, rise 10, cycle 0"),
        ([3.0] * 20, ["pred", "label"], None),  # with its weight it would be far above 20
    ],
)
def test_losses_are_judged_without_their_weights(caplog, values, between, score):
    course = iter(values)
    losses = [LossTerm("planted", lambda a, b: next(course) + 0 * a.sum(), 1000.0, between)]
    trainer = trainer_of(Tuner(5, 10), iterations=20, losses=losses)
    trainer.run()
    assert trainer.state.tuner["rollbacks"] == (score is not None)
    assert score is None or f"iteration 20 (score {score})" in caplog.text


@pytest.mark.parametrize("contrast", [0.1, 1.0, 1000.0])
@pytest.mark.parametrize("loss", [nn.L1Loss(), nn.MSELoss()])
def test_what_a_cycle_leaves_is_measured_in_deviations_of_the_reals_whatever_its_loss(loss, contrast):
    losses = [LossTerm("cycle", loss, 10.0, ["recovered_label", "label"])]
    trainer = trainer_of(Tuner(5, 10), iterations=10, losses=losses, contrast=contrast)
    label = trainer.data_loader[0]["label"].numpy()
    first = each(trainer, lambda t: t.state.tuner["record"]["series"]["error_label"][0])
    trainer.run()
    # There and back by factors of 0.6 and 1.8.
    assert first[0] == pytest.approx(0.08 * abs(label).mean() / label.std(ddof=1), rel=1e-3)


def test_a_cycle_that_no_longer_closes_is_told_however_low_the_contrast(caplog):
    trainer = trainer_of(Tuner(5, 10), iterations=20, contrast=0.1)
    broken = Events.ITERATION_STARTED(once=16)
    trainer.add_event_handler(broken, lambda: trainer.reverse_network.bias.data.add_(0.04))
    trainer.run()
    assert "cycle 20)" in caplog.text and trainer.state.tuner["rollbacks"] == 1


def test_batches_of_a_single_grey_are_no_failure():
    trainer = trainer_of(Tuner(5, 10), iterations=20)
    trainer.data_loader[7:9] = [{key: torch.full((2, 1, 8, 8), -1.0) for key in ("image", "label")}] * 2
    trainer.run()
    assert trainer.state.tuner["rollbacks"] == 0
    assert all(map(math.isfinite, trainer.state.tuner["record"]["series"]["error_image"]))


def test_an_overflow_is_no_step():
    course = iter([1.0] * 3 + [math.inf] + [1.0] * 16)
    losses = [LossTerm("pixel", lambda pred, label: next(course) + 0 * pred.sum())]
    trainer = trainer_of(Tuner(5, 10), iterations=20, losses=losses)
    scored = each(trainer, lambda t: "tuner_score" in getattr(t.state, "figures", {}))
    trainer.run()
    assert scored.index(True) == 15
    assert trainer.state.tuner["record"]["step"] == 19


def test_each_game_has_its_own_weights_to_move():
    own = {"image": AdversarialLoss(weight=8.0), "label": AdversarialLoss(weight=10.0)}
    games = {"adversarial": own, "d_weight": {"image": 1.0, "label": 2.0}}
    trainer = trainer_of(Flip(15, 25), Tuner(5, 10), iterations=30, **games)
    trainer.state.tuner["rollbacks"] = 1  # the first return would restore them
    before = weights_of(trainer)
    trainer.run()
    names = ["adversarial_image", "adversarial_label", "discriminator_image", "discriminator_label"]
    assert [before[name] for name in names] == [8, 10, 1, 2]
    after = weights_of(trainer)
    assert after.keys() == before.keys() and all(after[name] != before[name] for name in names)
    assert sum(after.values()) == pytest.approx(201)


def test_score_and_rollbacks_are_in_the_record_of_the_run(tmp_path):
    trainer = trainer_of(Flip(35), Tuner(10, 20), History(str(tmp_path), tensorboard=False), iterations=50)
    trainer.run()
    rows = trainer.state.history
    assert ["tuner_score" in row for row in rows] == [False, False, True, True, True]
    assert [row["rollbacks"] for row in rows[2:4]] == [0, 1]
    assert rows[3]["tuner_score"] == pytest.approx(20, abs=0.5)


def checkpoint_of(folder, resume=False, crash_at=999):
    """Train through two returns, with pools; return the last checkpoint."""
    handlers = [KeyedRandomness(3), Flip(35, 55), Tuner(10, 20, seed=3)]
    trainer = trainer_of(*handlers, iterations=70, epoch_length=35, pool_size=3)
    objects = {name: getattr(trainer, name) for name in ("reverse_network", "optimizer", "d_optimizer")}
    objects |= trainer.discriminators
    Checkpoints(str(folder), trainer.network, objects, iterations=15, resume=resume).attach(trainer)
    trainer.add_event_handler(Events.ITERATION_STARTED(once=crash_at), lambda: 1 / 0)
    trainer.run()
    return newest_checkpoint(folder)[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return checkpoint_of(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("crash_at", [33, 48, 68])
def test_a_run_resumed_before_between_or_after_returns_is_bit_equal(whole, tmp_path, crash_at):
    with pytest.raises(ZeroDivisionError):
        checkpoint_of(tmp_path, crash_at=crash_at)
    assert_same(checkpoint_of(tmp_path, resume=True), whole)
    assert whole["trainer"]["tuner"]["rollbacks"] == 2


def test_ranks_return_together_when_one_fails_badly(monkeypatch):
    """The other rank measures the same losses, and negatives that are clearer than the positives here."""
    trainer = trainer_of(Tuner(5, 10), iterations=20)
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda values: values.add_(values if len(values) > 2 else -1.1))
    trainer.run()
    assert trainer.state.tuner["rollbacks"] == 1


@pytest.mark.parametrize("options", [{"interval": 4}, {"interval": 200}, {"start": 199}])
def test_impossible_arguments_are_refused(options):
    with pytest.raises(UsageError, match="found interval"):
        Tuner(**options)


def test_trainings_without_verdicts_or_without_a_way_back_are_refused():
    with pytest.raises(UsageError, match="found a Wasserstein critic"):
        trainer_of(Tuner(), iterations=10, adversarial=AdversarialLoss("wgangp"))
    with pytest.raises(UsageError, match="found a GANTrainer"):
        GANTrainer("cpu", 1, [], nn.Identity(), None, [], train_handlers=[Tuner()])
    without = {"image": AdversarialLoss(), "label": AdversarialLoss(weight=0.0)}
    for adversarial in (AdversarialLoss(weight=0.0), without):
        with pytest.raises(UsageError, match="found an adversarial weight of 0"):
            trainer_of(Tuner(), iterations=10, adversarial=adversarial)
