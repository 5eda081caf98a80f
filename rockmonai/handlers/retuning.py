"""Loss weights and learning rates of an adversarial training, and how they move where it is to go on differently."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rockmonai.engines import CycleGANTrainer, GANTrainer
from rockmonai.losses import normalised_weights

ADVERSARIAL = "adversarial"
"""Name of the generators' side of a game among the weights."""

DISCRIMINATOR = "discriminator"
"""Name of the discriminators' side of two games."""


def weights_of(engine: GANTrainer | CycleGANTrainer) -> dict[str, float]:
    """Return the weight of every term, of what fools discriminators and, of two games, ``discriminator``.

    Where each game has weights of its own, these are called ``adversarial_image`` and so on.
    """
    weights = {term.name: term.weight for term in engine.losses}
    if engine.adversarial is not None:
        weights |= {name: loss.weight for name, loss in named(ADVERSARIAL, engine.adversarial).items()}
    if isinstance(engine, CycleGANTrainer):
        weights |= named(DISCRIMINATOR, engine.d_weight)
    return weights


def set_weights(engine: GANTrainer | CycleGANTrainer, weights: Mapping[str, float]) -> None:
    """Give ``engine`` those of ``weights``, named as by :func:`weights_of`, and leave the others."""
    weights = weights_of(engine) | dict(weights)
    engine.losses = [replace(term, weight=weights[term.name]) for term in engine.losses]
    if engine.adversarial is not None:
        engine.adversarial = _each(
            lambda name, loss: replace(loss, weight=weights[name]), ADVERSARIAL, engine.adversarial
        )
    if isinstance(engine, CycleGANTrainer):
        engine.d_weight = _each(lambda name, _: weights[name], DISCRIMINATOR, engine.d_weight)


def named(name: str, given: Any) -> dict[str, Any]:
    """Return what is given for all games as ``name``, or for each as ``name_image`` and ``name_label``."""
    return {f"{name}_{kind}": one for kind, one in given.items()} if isinstance(given, Mapping) else {name: given}


def _each(change: Callable[[str, Any], Any], name: str, given: Any) -> Any:
    """Return what is given for all games, or for each, changed by its name."""
    if isinstance(given, Mapping):
        return {kind: change(f"{name}_{kind}", one) for kind, one in given.items()}
    return change(name, given)


def rates_of(engine: CycleGANTrainer) -> list[list[float]]:
    """Return the learning rates of the generators' and of the discriminators' optimiser, one of each of its groups."""
    return [[group["lr"] for group in optimizer.param_groups] for optimizer in (engine.optimizer, engine.d_optimizer)]


def set_rates(engine: CycleGANTrainer, rates: Sequence[Sequence[float]]) -> None:
    """Give the optimisers of ``engine`` learning rates in the order of :func:`rates_of`."""
    for optimizer, of_groups in zip((engine.optimizer, engine.d_optimizer), rates, strict=True):
        for group, rate in zip(optimizer.param_groups, of_groups, strict=True):
            group["lr"] = rate


def moved_weights(
    weights: Mapping[str, float],
    draw: random.Random,
    spread: tuple[float, float],
    raised: Collection[str] = (),
    gain: float = 1.0,
) -> dict[str, float]:
    """Return ``(weight + 0.1) * (1 + u)``, from 0.1 to 100, all multiplied so that they sum to what they did.

    Args:
        weights: by name.
        draw: of the ``u``, one for each weight in their order.
        spread: smallest and largest ``u``.
        raised: names of weights that are multiplied by ``gain`` after that.
        gain: this factor.
    """
    moved = {name: min(max((weight + 0.1) * (1 + draw.uniform(*spread)), 0.1), 100) for name, weight in weights.items()}
    wanted = {name: weight * (gain if name in raised else 1) for name, weight in moved.items()}
    return normalised_weights(wanted, sum(weights.values()))


def moved_rates(
    rates: Sequence[Sequence[float]], first: Sequence[Sequence[float]], accuracy: float, step: int
) -> list[list[float]]:
    """Return learning rates, each halfway to what suits the game: the side that wins learns more slowly.

    What suits is the first rate times the square of the discriminators' accuracy for the generators, of what is left
    of it to 1 for the discriminators, times ``0.99998 ** step``.

    Args:
        rates: in the order of :func:`rates_of`.
        first: those that the training began with.
        accuracy: share of right verdicts of the discriminators.
        step: iterations trained.
    """
    return [
        [(rate + begun * (share**2 * 0.99998**step)) / 2 for rate, begun in zip(*of_groups, strict=True)]
        for share, of_groups in zip((accuracy, 1 - accuracy), zip(rates, first, strict=True), strict=True)
    ]
