from __future__ import annotations

import copy

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from ignite.engine import Events
from monai.transforms import Compose, RandFlipd
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from rockmonai.data import PatchLoader, UnpairedDataset
from rockmonai.engines import CycleGANTrainer
from rockmonai.errors import UsageError
from rockmonai.handlers import Checkpoints, CollapseMonitor, History, KeyedRandomness, newest_checkpoint
from rockmonai.losses import AdversarialLoss, JacobianPenalty, LossTerm

CYCLE = (
    LossTerm("cycle_image", nn.L1Loss(), 10.0, ["recovered_image", "image"]),
    LossTerm("cycle_label", nn.L1Loss(), 10.0, ["recovered_label", "label"]),
)
IDENTITY = (
    LossTerm("same_image", nn.L1Loss(), 5.0, ["identity_image", "image"]),
    LossTerm("same_label", nn.L1Loss(), 5.0, ["identity_label", "label"]),
)


def networks(scale=2, dropout=0.0):
    """Return a generator to ``scale`` times the size and one back, and a discriminator of images and one of labels."""
    torch.manual_seed(0)
    up = nn.Sequential(nn.Conv2d(1, scale**2, 3, padding=1), nn.Dropout(dropout), nn.PixelShuffle(scale))
    down = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.AvgPool2d(scale))
    return up, down, nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)


def make(batches, parts=None, epochs=1, losses=CYCLE, optimizer=torch.optim.SGD, **options):
    up, down, judge_image, judge_label = networks() if parts is None else parts
    return CycleGANTrainer(
        device="cpu",
        max_epochs=epochs,
        train_data_loader=batches,
        network=up,
        reverse_network=down,
        optimizer=optimizer([*up.parameters(), *down.parameters()], 0.1),
        losses=losses,
        discriminator_image=judge_image,
        discriminator_label=judge_label,
        d_optimizer=optimizer([*judge_image.parameters(), *judge_label.parameters()], 0.1),
        adversarial=options.pop("adversarial", AdversarialLoss("vanilla")),
        **options,
    )


def batches_of(count, scale=2, size=2):
    generator = torch.Generator().manual_seed(1)
    shapes = {"image": (size, 1, 8, 8), "label": (size, 1, 8 * scale, 8 * scale)}
    return [{key: torch.randn(shape, generator=generator) for key, shape in shapes.items()} for _ in range(count)]


def weights(*parts):
    return torch.cat([p.detach().flatten() for part in parts for p in part.parameters()])


def inputs_of(network):
    """Return the list that will hold what ``network`` is called with."""
    seen = []
    network.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
    return seen


def lower(loss, *parts):
    """Take a step of gradient descent and return the gradient."""
    values = [p for part in parts for p in part.parameters()]
    gradient = torch.autograd.grad(loss, values)
    with torch.no_grad():
        for value, slope in zip(values, gradient, strict=True):
            value -= 0.1 * slope
    return torch.cat([slope.flatten() for slope in gradient])


def test_one_iteration_equals_the_textbook():
    (batch,), parts = batches_of(1), networks()
    up, down, judge_image, judge_label = copy.deepcopy(parts)
    trainer = make([batch], parts, d_weight=2.0)
    trainer.run()

    image, label = batch["image"], batch["label"]
    pred, fake = up(image), down(label)
    d_losses = [
        0.5 * (F.softplus(-judge(real)).mean() + F.softplus(judge(made.detach())).mean())
        for judge, real, made in ((judge_image, image, fake), (judge_label, label, pred))
    ]
    d_gradient = lower(2 * sum(d_losses), judge_image, judge_label)
    cycles = [10 * (down(pred) - image).abs().mean(), 10 * (up(fake) - label).abs().mean()]
    fooling = [F.softplus(-judge_image(fake)).mean(), F.softplus(-judge_label(pred)).mean()]
    lower(sum(cycles + fooling), up, down)

    torch.testing.assert_close(weights(*parts), weights(up, down, judge_image, judge_label))
    # The generators' step, which came last, has left nothing in the discriminators.
    collected = torch.cat([p.grad.flatten() for part in parts[2:] for p in part.parameters()])
    torch.testing.assert_close(collected, d_gradient)
    assert trainer.state.losses == pytest.approx(
        {
            "discriminator_label": d_losses[1].item(),
            "discriminator_image": d_losses[0].item(),
            "cycle_image": cycles[0].item(),
            "cycle_label": cycles[1].item(),
            "adversarial_label": fooling[1].item(),
            "adversarial_image": fooling[0].item(),
        },
        rel=1e-5,
    )


def test_generators_that_change_nothing_pay_only_what_the_discriminators_say():
    parts = [nn.Conv2d(1, 1, 1) for _ in range(4)]
    for part, weight, bias in zip(parts, (1, 1, 0, 0), (0, 0, -0.5, 2.0), strict=True):
        nn.init.constant_(part.weight, weight)
        nn.init.constant_(part.bias, bias)
    lsgan = AdversarialLoss("lsgan", weight=3.0)
    trainer = make(batches_of(1, scale=1), parts, losses=(*CYCLE, *IDENTITY), adversarial=lsgan)
    trainer.d_optimizer.param_groups[0]["lr"] = 0.0
    trainer.run()
    assert trainer.state.losses == pytest.approx(
        {
            **dict.fromkeys(("cycle_image", "cycle_label", "same_image", "same_label"), 0),
            "adversarial_image": 3 * 1.5**2,
            "adversarial_label": 3 * 1.0**2,
            "discriminator_image": (1.5**2 + 0.5**2) / 2,
            "discriminator_label": (1.0**2 + 2.0**2) / 2,
        }
    )


@pytest.mark.parametrize(("losses", "calls"), [((), 1), (CYCLE[:1], 1), (CYCLE, 2), ((*CYCLE, *IDENTITY), 3)])
def test_only_what_a_term_names_is_computed(losses, calls):
    parts = networks(scale=1)
    seen = inputs_of(parts[0])
    trainer = make(batches_of(1, scale=1), parts, losses=losses)
    trainer.run()
    assert len(seen) == calls
    named = {term.between[0] for term in losses}
    assert set(trainer.state.output[0]) == {"image", "label", "pred", "fake_image", "loss"} | named


def test_identity_losses_need_networks_that_keep_the_size():
    with pytest.raises(UsageError, match=r"\[8, 8\] becomes \[16, 16\]"):
        make(batches_of(1), losses=IDENTITY[:1]).run()


def test_kickstart_must_be_a_probability():
    with pytest.raises(UsageError, match="kickstart is 70"):
        make(batches_of(1), kickstart=70)


@pytest.mark.parametrize("between", [["pred", "image"], ["fake_image", "label"]])
def test_jacobian_term_reaches_the_generators(between):
    trainer = make(batches_of(1), losses=[LossTerm("jacobian", JacobianPenalty(), between=between)])
    trainer.run()
    assert trainer.state.losses["jacobian"] > 0


def test_each_game_may_have_a_loss_and_a_weight_of_its_own():
    parts = networks()
    before = [weights(part) for part in parts]
    own = {"image": AdversarialLoss("lsgan", weight=0.0), "label": AdversarialLoss("vanilla", weight=4.0)}
    trainer = make(batches_of(1), parts, losses=(), adversarial=own, d_weight={"image": 2.0, "label": 0.0})
    expected = 4 * F.softplus(-parts[3](parts[0](trainer.data_loader[0]["image"]))).mean().item()
    trainer.run()
    # Fakes of labels are what the one generator learns from, and fakes of images what the other discriminator does.
    assert [torch.equal(weights(part), old) for part, old in zip(parts, before, strict=True)] == [
        False,
        True,
        False,
        True,
    ]
    assert trainer.state.losses["adversarial_label"] == pytest.approx(expected)


def test_one_value_of_each_game_is_the_same_as_one_for_both():
    plain, each = networks(), networks()
    make(batches_of(3), plain, adversarial=AdversarialLoss(weight=3.0), d_weight=2.0).run()
    both = dict.fromkeys(("image", "label"), AdversarialLoss(weight=3.0))
    make(batches_of(3), each, adversarial=both, d_weight={"image": 2.0, "label": 2.0}).run()
    assert torch.equal(weights(*plain), weights(*each))


@pytest.mark.parametrize("option", [{"d_weight": {"image": 1.0}}, {"adversarial": {"mode": "lsgan"}}])
def test_values_of_other_games_are_refused(option):
    with pytest.raises(UsageError, match="give one value for both games, or one each for 'image' and 'label'"):
        make(batches_of(1), **option)


def starts_of_the_way_back(count, **options):
    """Return, for every iteration, whether both ways back began with real images."""
    parts, batches, kicked = networks(), batches_of(4), []
    ups, downs = inputs_of(parts[0]), inputs_of(parts[1])
    loader = [batches[n % 4] for n in range(count)]
    make(loader, parts, train_handlers=[KeyedRandomness(3)], **options).run()
    for number, batch in enumerate(loader):
        enlarged = batch["image"].repeat_interleave(2, 2).repeat_interleave(2, 3)
        reduced = batch["label"][..., ::2, ::2]
        both = {torch.equal(downs[2 * number + 1], enlarged), torch.equal(ups[2 * number + 1], reduced)}
        assert len(both) == 1
        kicked += both
    return kicked


def test_kickstart_feeds_the_way_back_with_real_images_at_the_start_only():
    assert starts_of_the_way_back(5, kickstart=1.0, kickstart_steps=3) == [True, True, True, False, False]
    assert not any(starts_of_the_way_back(5))


def test_kickstart_is_drawn_anew_for_each_iteration_of_a_seed():
    kicked = starts_of_the_way_back(60, kickstart=0.7)
    assert abs(sum(kicked) - 42) < 3 * (60 * 0.7 * 0.3) ** 0.5
    assert starts_of_the_way_back(20, kickstart=0.7, pool_size=2) == kicked[:20]


def test_discriminators_are_shown_earlier_fakes_of_their_own_kind():
    parts = networks()
    seen, made = inputs_of(parts[3]), []
    trainer = make(batches_of(20), parts, pool_size=4, train_handlers=[KeyedRandomness(0)])
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: made.extend(item["pred"] for item in engine.state.output)
    )
    trainer.run()
    shown = [fake for batch in seen[1::3] for fake in batch]  # each iteration: reals, shown fakes, new fakes
    origin = [next(n for n, fake in enumerate(made) if torch.equal(fake, one)) for one in shown]
    assert origin[:4] == [0, 1, 2, 3]
    assert all(came <= now for now, came in enumerate(origin))
    assert 0 < sum(came < now for now, came in enumerate(origin)) < len(origin)


def test_gradients_of_both_generators_are_clipped_together():
    parts = networks()
    before, judges = weights(*parts[:2]), weights(*parts[2:])
    wgangp = {"adversarial": AdversarialLoss("wgangp"), "gradient_penalty_weight": 10.0}
    trainer = make(batches_of(1), parts, max_grad_norm=1e-2, **wgangp)
    trainer.run()
    assert (weights(*parts[:2]) - before).norm().item() == pytest.approx(0.1 * 1e-2, rel=1e-3)
    assert (weights(*parts[2:]) - judges).norm().item() > 0.1 * 1e-2
    assert trainer.state.losses["gradient_penalty_image"] > 0 < trainer.state.losses["gradient_penalty_label"]


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_amp_trains_on_the_cpu_close_to_float32(amp):
    plain, mixed = networks(), networks()
    make(batches_of(2), plain).run()
    trainer = make(batches_of(2), mixed, amp=amp)
    # From its first scale on, 65536, the scaler would skip a step or two.
    trainer.grad_scaler.load_state_dict({**trainer.grad_scaler.state_dict(), "scale": 256.0})
    trainer.run()
    assert (weights(*mixed) - weights(*plain)).norm() / weights(*plain).norm() < 0.02


def train_three_epochs(folder, resume=False, crash_at=99):
    """Train by everything that is drawn: patches, dropout, pools, the kickstart; return the last checkpoint."""
    generator = torch.Generator().manual_seed(2)
    data = {
        "image": [{"image": torch.randn(1, 8, 8, generator=generator)} for _ in range(3)],
        "label": [{"image": torch.randn(1, 16, 16, generator=generator)} for _ in range(5)],
    }
    patches = UnpairedDataset(data, Compose([RandFlipd("image", prob=0.5)]), seed=1)
    up, down, judge_image, judge_label = parts = networks(dropout=0.3)
    objects = {"reverse_network": down, "discriminator_image": judge_image, "discriminator_label": judge_label}
    trainer = make(
        PatchLoader(patches, batch_size=2, epoch_length=3),
        parts,
        epochs=3,
        optimizer=torch.optim.Adam,
        pool_size=3,
        kickstart=0.5,
        kickstart_steps=6,
    )
    objects |= {"optimizer": trainer.optimizer, "d_optimizer": trainer.d_optimizer}
    trainer.add_event_handler(Events.ITERATION_STARTED(once=crash_at), lambda: 1 / 0)
    monitor = CollapseMonitor(window=4)
    checkpoints = Checkpoints(str(folder), up, objects, iterations=2, resume=resume)
    for handler in (KeyedRandomness(7), monitor, History(str(folder), tensorboard=False), checkpoints):
        handler.attach(trainer)
    trainer.run()
    return newest_checkpoint(folder)[1]


def leaves(value, name=""):
    """Return every number, word and tensor of a nested checkpoint by its place."""
    if isinstance(value, (dict, list, tuple)):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        return {place: leaf for key, part in parts for place, leaf in leaves(part, f"{name}.{key}").items()}
    return {name: value.tolist() if isinstance(value, torch.Tensor) else value}


def test_a_resumed_run_is_bit_equal_to_an_uninterrupted_one(tmp_path):
    whole = train_three_epochs(tmp_path / "whole")
    with pytest.raises(ZeroDivisionError):
        train_three_epochs(tmp_path / "run", crash_at=6)
    resumed = train_three_epochs(tmp_path / "run", resume=True)
    assert leaves(resumed) == leaves(whole)
    assert len(whole["pool_image"]["fakes"]) == len(whole["pool_label"]["fakes"]) == 3
    model = torch.load(tmp_path / "run" / "model.pt")
    assert leaves(dict(model)) == leaves(dict(whole["network"]))


def _one_rank(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    parts = networks(scale=1)
    wrapped = [DistributedDataParallel(part, broadcast_buffers=False) for part in parts]
    batches = [{key: value[rank::2] for key, value in batch.items()} for batch in batches_of(3, scale=1, size=4)]
    make(batches, wrapped, losses=(*CYCLE, *IDENTITY), max_grad_norm=1.0).run()
    torch.save(weights(*parts), f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_two_ranks_learn_what_one_learns_of_all_images(tmp_path):
    torch.multiprocessing.spawn(_one_rank, (str(tmp_path),), nprocs=2)
    parts = networks(scale=1)
    make(batches_of(3, scale=1, size=4), parts, losses=(*CYCLE, *IDENTITY), max_grad_norm=1.0).run()
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert torch.equal(first, second)
    torch.testing.assert_close(first, weights(*parts))
