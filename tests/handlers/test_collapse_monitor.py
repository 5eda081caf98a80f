from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch

from rockmonai.engines import CycleGANTrainer, GANTrainer
from rockmonai.errors import NumericalError
from rockmonai.handlers import CollapseMonitor, StopOnNaN
from rockmonai.losses import AdversarialLoss


def iteration(number, real=0.3, fake=-0.3, pred_std=1.0, mode="vanilla", adversarial=1.0, discriminator=0.6):
    torch.manual_seed(number)
    label = torch.randn(2, 1, 16, 16)
    state = SimpleNamespace(
        iteration=number,
        epoch=1,
        losses={"adversarial": adversarial, "discriminator": discriminator},
        logits={"real": real + torch.randn(200), "fake": fake + torch.randn(200)},
        output={"pred": pred_std * label, "label": label},
    )
    return SimpleNamespace(state=state, adversarial=AdversarialLoss(mode), games=GANTrainer.games)


def watch(monitor, count=10, collapse=None, **kwargs):
    collapse = {"samples": [], "medians": [], "windows": 0} if collapse is None else collapse
    for number in range(count):
        engine = iteration(number, **kwargs)
        engine.state.collapse = collapse
        monitor(engine)
    return collapse


def test_a_fair_game_is_not_disturbed(caplog):
    watch(CollapseMonitor(window=5), 20)
    assert not caplog.records


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        ({"real": 9.0, "fake": -9.0}, "right in 100.0% of all cases"),
        ({"discriminator": 0.001}, "its loss is 0.001"),
        ({"pred_std": 0.2}, "vary 0.20 times"),
        ({"pred_std": 0.2, "mode": "wgangp"}, "vary 0.20 times"),
    ],
)
def test_each_sign_of_collapse_is_told_with_its_figure(caplog, signs, words):
    with caplog.at_level(logging.WARNING, "rockmonai"):
        watch(CollapseMonitor(window=10), 10, **signs)
    assert words in caplog.text


def test_a_rising_adversarial_loss_is_told(caplog):
    monitor = CollapseMonitor(window=5)
    before = watch(monitor, 15, adversarial=1.0)
    watch(monitor, 5, before, adversarial=5.0)
    assert "rose from 1 to 5" in caplog.text


def test_it_stops_only_when_asked_and_after_its_patience():
    monitor = CollapseMonitor(window=5, patience=2, stop=True)
    before = watch(monitor, 5, pred_std=0.1)
    with pytest.raises(NumericalError, match="collapsing"):
        watch(monitor, 5, before, pred_std=0.1)


@pytest.mark.parametrize(("mode", "expected"), [("vanilla", [1.0, 1.0]), ("lsgan", [1.0, 0.0]), ("wgangp", [])])
def test_the_accuracies_are_left_for_the_history(mode, expected):
    engine = iteration(0, mode=mode)
    engine.state.collapse = {"samples": [], "medians": [], "windows": 0}
    logits = {"vanilla": (0.1, -0.1), "lsgan": (0.6, 0.51), "wgangp": (1.0, -1.0)}[mode]
    engine.state.logits = {"real": torch.full((4,), logits[0]), "fake": torch.full((4,), logits[1])}
    CollapseMonitor()(engine)
    assert list(getattr(engine.state, "figures", {}).values()) == expected


def test_warm_up_is_not_judged():
    engine = iteration(0)
    engine.state.losses = {"pixel": 1.0}
    engine.state.collapse = {"samples": []}
    CollapseMonitor(window=1)(engine)
    assert engine.state.collapse["samples"] == []


def test_fp16_may_overflow_a_few_times_in_a_row(tmp_path):
    guard, engine = StopOnNaN(str(tmp_path), patience=2), iteration(1)
    engine.grad_scaler = SimpleNamespace(is_enabled=lambda: True)
    for losses in (float("inf"), float("inf"), 1.0, float("inf"), float("inf")):
        engine.state.losses["pixel"] = losses
        guard(engine)
    with pytest.raises(NumericalError, match="no checkpoint was written yet"):
        guard(engine)


def test_nan_stops_and_names_the_last_good_checkpoint(tmp_path):
    (tmp_path / "checkpoint_00000012.pt").touch()
    engine = iteration(20)
    StopOnNaN(str(tmp_path))(engine)
    engine.state.losses["pixel"] = float("nan")
    with pytest.raises(NumericalError, match=r"pixel loss is nan at epoch 1, iteration 20; .*checkpoint_00000012.pt"):
        StopOnNaN(str(tmp_path))(engine)


def test_of_two_games_the_collapsing_one_is_named(caplog):
    monitor = CollapseMonitor(window=5)
    states = {game: {"samples": [], "medians": [], "windows": 0} for game in ("collapse_label", "collapse_image")}
    for number in range(5):
        fair, lost = iteration(number), iteration(number, real=9.0, fake=-9.0)
        engine = SimpleNamespace(adversarial=fair.adversarial, games=CycleGANTrainer.games, state=fair.state)
        both = (("_label", fair.state), ("_image", lost.state))
        for name in ("losses", "logits"):
            setattr(fair.state, name, {k + game: v for game, state in both for k, v in getattr(state, name).items()})
        fair.state.output |= {"image": fair.state.output["label"], "fake_image": fair.state.output["pred"]}
        vars(fair.state).update(states)
        monitor(engine)
    (message,) = caplog.messages
    assert "training of fake_image is collapsing" in message and "right in 100.0%" in message
