from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from ignite.engine import Events
from torch import nn

from rockmonai.engines import GANTrainer, HistoryPool, LinearDecayLR, amp_dtype
from rockmonai.errors import UsageError
from rockmonai.handlers import CollapseMonitor
from rockmonai.losses import AdversarialLoss, JacobianPenalty, LossTerm
from rockmonai.networks import VGGDiscriminator


class Recorder(nn.Conv2d):
    """A discriminator that remembers what it was shown."""

    def __init__(self, channels=1):
        super().__init__(channels, 1, 3)
        self.seen = []

    def forward(self, x):
        self.seen.append(x.detach().clone())
        return super().forward(x)


def make(batches, epochs=1, channels=1, **options):
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.PixelShuffle(2))
    discriminator = options.pop("discriminator", None) or Recorder(channels)
    pixel = LossTerm("pixel", nn.L1Loss(), weight=10.0)
    trainer = GANTrainer(
        device="cpu",
        max_epochs=epochs,
        train_data_loader=batches,
        network=generator,
        optimizer=torch.optim.SGD(generator.parameters(), 0.1),
        losses=options.pop("losses", [pixel]),
        discriminator=discriminator,
        d_optimizer=torch.optim.SGD(discriminator.parameters(), 0.1),
        adversarial=options.pop("adversarial", AdversarialLoss("vanilla")),
        **options,
    )
    return trainer, generator, discriminator


def pairs_of(count, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [
        {"image": torch.randn(2, 1, 8, 8, generator=generator), "label": torch.randn(2, 1, 16, 16, generator=generator)}
        for _ in range(count)
    ]


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_reals_are_the_labels_and_both_steps_see_the_same_fake():
    batch = pairs_of(1)
    trainer, _, discriminator = make(batch)
    trainer.run()
    real, fake, fake_again = discriminator.seen
    assert torch.equal(real, batch[0]["label"])
    assert torch.equal(fake, fake_again)
    assert fake.shape == (2, 1, 16, 16)


def test_one_iteration_equals_the_textbook():
    batch = pairs_of(1)
    trainer, generator, discriminator = make(batch)
    g, d = copy.deepcopy(generator), copy.deepcopy(discriminator)
    trainer.run()

    fake = g(batch[0]["image"])
    real_logits, fake_logits = d(batch[0]["label"]), d(fake.detach())
    d_loss = 0.5 * (F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean())
    d_step = torch.autograd.grad(d_loss, list(d.parameters()))
    with torch.no_grad():
        for p, grad in zip(d.parameters(), d_step, strict=True):
            p -= 0.1 * grad
    g_loss = 10 * (fake - batch[0]["label"]).abs().mean() + F.softplus(-d(fake)).mean()
    g_step = torch.autograd.grad(g_loss, list(g.parameters()))
    with torch.no_grad():
        for p, grad in zip(g.parameters(), g_step, strict=True):
            p -= 0.1 * grad

    torch.testing.assert_close(weights(discriminator), weights(d))
    torch.testing.assert_close(weights(generator), weights(g))
    assert trainer.state.losses["discriminator"] == pytest.approx(d_loss.item(), rel=1e-5)
    assert trainer.state.losses["pixel"] + trainer.state.losses["adversarial"] == pytest.approx(g_loss.item(), rel=1e-5)


def test_warmup_leaves_the_discriminator_alone():
    trainer, _, discriminator = make(pairs_of(2), epochs=2, warmup_epochs=1)
    before = weights(discriminator)
    names = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: names.append(set(engine.state.losses)))
    trainer.run()
    assert names == [{"pixel"}] * 2 + [{"pixel", "adversarial", "discriminator"}] * 2
    assert len(discriminator.seen) == 1 + 6  # the first label, to begin with
    assert not torch.equal(before, weights(discriminator))


def test_a_term_may_wait_for_the_discriminator():
    losses = [LossTerm("pixel", nn.L1Loss()), LossTerm("late", nn.MSELoss(), warmup=False)]
    trainer, *_ = make(pairs_of(1), epochs=2, warmup_epochs=1, losses=losses)
    logged = []
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: logged.append(set(engine.state.losses)))
    trainer.run()
    assert logged == [{"pixel"}, {"pixel", "late", "adversarial", "discriminator"}]


def test_a_first_phase_without_any_loss_is_refused():
    trainer, *_ = make(pairs_of(1), epochs=3, warmup_epochs=2, losses=[LossTerm("late", nn.MSELoss(), warmup=False)])
    with pytest.raises(UsageError, match="of which none counts"):
        trainer.run()


def test_a_loss_that_would_never_count_is_refused():
    late = LossTerm("late", nn.MSELoss(), warmup=False)
    with pytest.raises(UsageError, match="late would count after the warm-up only, but all 2 epochs"):
        make(pairs_of(1), epochs=2, warmup_epochs=2, losses=[LossTerm("pixel", nn.L1Loss()), late])
    make(pairs_of(1), epochs=2, warmup_epochs=2, losses=[LossTerm("late", nn.MSELoss(), 0.0, warmup=False)])


def refuse_small(pred, label):
    raise UsageError("larger patches")


@pytest.mark.parametrize(
    ("waiting", "words"),
    [
        ({"discriminator": VGGDiscriminator(channels=1, dense=1)}, "judges images of 16 voxels .* found 12 x 12"),
        ({"losses": [LossTerm("pixel", nn.L1Loss()), LossTerm("late", refuse_small, warmup=False)]}, "larger patches"),
    ],
    ids=["discriminator", "loss"],
)
def test_what_waits_for_the_second_phase_refuses_sizes_in_the_first_iteration(waiting, words):
    small = [{"image": torch.zeros(2, 1, 6, 6), "label": torch.zeros(2, 1, 12, 12)}] * 2
    trainer, generator, _ = make(small, epochs=3, warmup_epochs=2, **waiting)
    before = weights(generator)
    with pytest.raises(UsageError, match=words):
        trainer.run()
    assert trainer.state.iteration == 1 and torch.equal(before, weights(generator))


def test_a_warmup_changes_nothing_of_the_discriminator_and_draws_no_number():
    judge = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    trainer, *_ = make(pairs_of(2), epochs=2, warmup_epochs=1, discriminator=judge)
    before, drawn, seen = copy.deepcopy(judge.state_dict()), torch.get_rng_state(), []

    @trainer.on(Events.ITERATION_COMPLETED(once=1))
    def look():
        seen.append((judge.training, torch.get_rng_state(), copy.deepcopy(judge.state_dict())))

    trainer.run()
    ((training, draws, after),) = seen
    assert training and torch.equal(drawn, draws)
    assert all(torch.equal(values, before[name]) for name, values in after.items())


def test_generator_rests_between_its_steps():
    trainer, generator, _ = make(pairs_of(4), d_steps=2)
    track = [weights(generator)]
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: track.append(weights(generator)))
    trainer.run()
    assert [torch.equal(a, b) for a, b in pairwise(track)] == [True, False, True, False]


def test_conditional_discriminator_sees_the_input_beside_the_picture():
    batch = pairs_of(1)
    trainer, _, discriminator = make(batch, channels=2, conditional=True)
    trainer.run()
    enlarged = batch[0]["image"].repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(discriminator.seen[0], torch.cat([enlarged, batch[0]["label"]], 1))


def test_jacobian_term_reaches_the_generator():
    term = LossTerm("jacobian", JacobianPenalty(), weight=1.0)
    trainer, generator, _ = make(pairs_of(1), losses=[term])
    before = weights(generator)
    trainer.run()
    assert trainer.state.losses["jacobian"] > 0
    assert not torch.equal(before, weights(generator))


def test_gradient_penalty_is_logged_and_clipping_bounds_the_step():
    trainer, generator, _ = make(
        pairs_of(1), adversarial=AdversarialLoss("wgangp"), gradient_penalty_weight=10.0, max_grad_norm=1e-3
    )
    before = weights(generator)
    trainer.run()
    assert trainer.state.losses["gradient_penalty"] > 0
    assert (weights(generator) - before).norm() <= 0.1 * 1e-3 * 1.001


@pytest.mark.parametrize("mode", ["vanilla", "wgangp"])
def test_discriminator_may_give_each_image_one_logit(mode):
    critic = mode == "wgangp"
    judge = VGGDiscriminator(channels=2, dense=3, norm=None if critic else "batch")
    before = weights(judge)
    trainer, generator, _ = make(
        pairs_of(2),
        discriminator=judge,
        adversarial=AdversarialLoss(mode),
        gradient_penalty_weight=10.0 if critic else 0.0,
        train_handlers=[CollapseMonitor(window=3)],
        losses=[],
    )
    start = weights(generator)
    trainer.run()
    real, fake = trainer.state.logits["real"], trainer.state.logits["fake"]
    assert real.shape == fake.shape == (2, 1)
    loss = (fake - real).mean() if critic else (F.softplus(-real) + F.softplus(fake)).mean()
    penalty = trainer.state.losses.get("gradient_penalty", 0.0)
    assert trainer.state.losses["discriminator"] == pytest.approx(loss.item() / 2 + penalty, rel=1e-5)
    accuracy = ((real > 0).sum() + (fake <= 0).sum()).item() / 4
    assert trainer.state.collapse["samples"][-1]["accuracy"] == accuracy
    assert not torch.equal(weights(judge), before)
    assert not torch.equal(weights(generator), start)


def test_generator_trains_without_a_discriminator():
    trainer, generator, _ = make(pairs_of(2))
    trainer.discriminator = None
    before = weights(generator)
    trainer.run()
    assert set(trainer.state.losses) == {"pixel"}
    assert not torch.equal(before, weights(generator))


@pytest.mark.parametrize("amp", ["bf16", "fp16", True])
def test_amp_trains_on_the_cpu_close_to_float32(amp):
    plain, plain_generator, _ = make(pairs_of(2))
    mixed, mixed_generator, _ = make(pairs_of(2), amp=amp)
    plain.run()
    mixed.run()
    step = weights(plain_generator)
    assert (weights(mixed_generator) - step).norm() / step.norm() < 0.02


def test_discriminator_without_its_loss_is_refused():
    with pytest.raises(UsageError, match="give all three or none"):
        make(pairs_of(1), adversarial=None)


@pytest.mark.parametrize(("capability", "expected"), [("AVX2", None), ("AVX512", torch.bfloat16)])
def test_a_cpu_chooses_bfloat16_only_where_it_computes_with_it(capability, expected, monkeypatch):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    assert amp_dtype(True, torch.device("cpu")) is expected
    assert amp_dtype("bf16", torch.device("cpu")) is torch.bfloat16


def test_unknown_precision_is_refused():
    with pytest.raises(UsageError, match="'half'"):
        amp_dtype("half", torch.device("cpu"))


def test_linear_rule_keeps_then_falls():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    schedule = LinearDecayLR(optimizer, constant_epochs=50, decay_epochs=25)
    rates = []
    for _ in range(75):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[:50] == [1.0] * 50
    assert rates[50:] == pytest.approx([1 - (e + 1 - 50) / 26 for e in range(50, 75)])


def test_history_pool_returns_earlier_fakes_and_survives_a_checkpoint():
    torch.manual_seed(0)
    pool = HistoryPool(4)
    first = torch.arange(4.0).view(4, 1)
    assert torch.equal(pool(first), first)
    shown = pool(torch.full((100, 1), 9.0))
    assert (shown != 9).any() and (shown == 9).any()
    other = HistoryPool(4)
    other.load_state_dict(pool.state_dict())
    assert torch.equal(torch.stack(other.fakes), torch.stack(pool.fakes))
    assert torch.equal(HistoryPool(0)(first), first)


class Ensemble(nn.Module):
    """Two networks that learn side by side; their mean is the prediction."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

    def forward(self, image):
        one, two = self.one(image), self.two(image)
        return {"pred": (one + two).detach() / 2, "one": one, "two": two}


def test_a_network_may_learn_in_several_ways_at_once():
    """Each part takes the step of torch's own optimiser on its own loss."""
    torch.manual_seed(0)
    network = Ensemble()
    alone = copy.deepcopy(network)
    image, label = torch.randn(2, 1, 8, 8), torch.randn(2, 1, 8, 8)
    one, two = (["one", "label"], ["two", "label"])
    terms = [LossTerm("one", nn.L1Loss(), between=one), LossTerm("two", nn.MSELoss(), 3.0, between=two)]
    trainer = GANTrainer(
        device="cpu",
        max_epochs=1,
        train_data_loader=[{"image": image, "label": label}],
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), 0.1),
        losses=terms,
    )
    trainer.run()
    assert set(trainer.state.losses) == {"one", "two"} and trainer.state.output[0]["pred"].shape == (1, 8, 8)
    for part, loss in ((alone.one, F.l1_loss), (alone.two, lambda a, b: 3 * F.mse_loss(a, b))):
        optimizer = torch.optim.SGD(part.parameters(), 0.1)
        loss(part(image), label).backward()
        optimizer.step()
    torch.testing.assert_close(weights(network), weights(alone))
