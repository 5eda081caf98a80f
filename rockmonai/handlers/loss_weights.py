"""Weights of a generator's losses that are set anew between epochs, by what the losses were."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.distributed as dist
from ignite.engine import Events

from rockmonai.engines import GANTrainer
from rockmonai.errors import UsageError, did_you_mean
from rockmonai.handlers.retuning import ADVERSARIAL, set_weights, weights_of

logger = logging.getLogger("rockmonai")


class _AdaptedWeights(ABC):
    """Measures losses in the adversarial phase and sets weights anew after every so many of its epochs.

    What it has measured and set are plain numbers in ``engine.state``, which travel with the checkpoints. Ranks measure
    together, so that all set the same weights. The weights of every iteration are left in ``engine.state.figures``,
    where :class:`rockmonai.handlers.History` takes them for metrics.csv.

    Args:
        measured: names of the losses that decide.
        weighed: names of the terms whose weights are set.
        interval: epochs between two settings.
        bounds: smallest and largest weight.
    """

    key: ClassVar[str]

    def __init__(
        self, measured: Sequence[str], weighed: Sequence[str], interval: int, bounds: tuple[float, float]
    ) -> None:
        low, high = bounds
        if not (0 < low <= high and interval >= 1):
            raise UsageError(
                f"{type(self).__name__} needs bounds of a weight above 0, the smaller first, and an interval of 1 "
                f"epoch or more; found {low} and {high}, interval {interval}."
            )
        self.measured, self.weighed = tuple(measured), tuple(weighed)
        self.interval, self.low, self.high = interval, low, high

    def attach(self, engine: GANTrainer) -> None:
        """Follow ``engine``, a :class:`rockmonai.engines.GANTrainer`.

        Raises:
            UsageError: if it has not the losses that this handler measures and weighs.
        """
        self.check(engine)
        setattr(engine.state, self.key, {"weights": {}, "earlier": {}, **self._nothing_measured()})
        engine.state_dict_user_keys.append(self.key)
        engine.add_event_handler(Events.EPOCH_STARTED, self._apply)
        engine.add_event_handler(Events.ITERATION_STARTED, self._show)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._measure)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._set)

    @abstractmethod
    def check(self, engine: GANTrainer) -> None:
        """Raise a UsageError if ``engine`` has not the losses that this handler measures and weighs."""

    @abstractmethod
    def wanted(
        self, weights: Mapping[str, float], sizes: Mapping[str, float], earlier: dict[str, float]
    ) -> dict[str, float]:
        """Return new weights, not yet bounded.

        Args:
            weights: as they are, by the name of the term.
            sizes: mean absolute values of the losses since the weights were set, times their weights.
            earlier: what this method left in it the last time.
        """

    def _nothing_measured(self) -> dict[str, Any]:
        return {"sums": dict.fromkeys(self.measured, 0.0), "count": 0}

    def _apply(self, engine: GANTrainer) -> None:
        # A resumed run has read them from its checkpoint.
        set_weights(engine, getattr(engine.state, self.key)["weights"])

    def _show(self, engine: GANTrainer) -> None:
        figures = {f"{name}_weight": weight for name, weight in weights_of(engine).items() if name in self.weighed}
        engine.state.figures = getattr(engine.state, "figures", {}) | figures

    def _measure(self, engine: GANTrainer) -> None:
        losses, state = engine.state.losses, getattr(engine.state, self.key)
        # In the warm-up, and where the generator rests, they are not all there.
        if engine.phase != "adversarial" or not all(name in losses for name in self.measured):
            return
        values = mean_over_ranks([abs(losses[name]) for name in self.measured])
        # An overflow in fp16 is no step of the training either.
        if all(map(math.isfinite, values)):
            state["sums"] = {
                name: state["sums"][name] + value for name, value in zip(self.measured, values, strict=True)
            }
            state["count"] += 1

    def _set(self, engine: GANTrainer) -> None:
        state, now = getattr(engine.state, self.key), weights_of(engine)
        epochs = engine.state.epoch - engine.warmup_epochs
        if engine.phase != "adversarial" or epochs % self.interval or not state["count"]:
            return
        sizes = {name: total / state["count"] for name, total in state["sums"].items()}
        wanted = self.wanted(now, sizes, state["earlier"])
        state["weights"] = {name: min(max(weight, self.low), self.high) for name, weight in wanted.items()}
        state |= self._nothing_measured()
        changes = [f"{name} {now[name]:.3g} -> {weight:.3g}" for name, weight in state["weights"].items()]
        logger.info("weights of the losses after epoch %d: %s", engine.state.epoch, ", ".join(changes))


class BalancedWeights(_AdaptedWeights):
    """Sets weights, after each epoch of the adversarial phase, so that terms have given shares of a reference term.

    Each term is measured as it counts, times its weight: had they been constant, the terms would now count
    ``share`` times the reference. This is the rule of EDSRGAN (Wang et al., https://arxiv.org/abs/1907.07131),
    ``weight * (reference / term) * share``, which with terms times their weights arrives in one step and stays; with
    bare terms it would multiply the weight by the same factor in every epoch, without end. A term that may be
    negative, such as that of a Wasserstein critic, is measured by its absolute value.

    Args:
        shares: by the name of the term, ``"adversarial"`` among them; published are 0.5 for the features of VGG-19 and
            0.1 for the adversarial term.
        reference: the term that the others are compared with; its own weight stays.
        bounds: smallest and largest weight; a term that vanishes is held by the latter.

    Raises:
        UsageError: for a share that is not above 0 or that of the reference, or for impossible bounds.
    """

    key = "balanced_weights"

    def __init__(
        self, shares: Mapping[str, float], reference: str = "pixel", bounds: tuple[float, float] = (1e-6, 1e3)
    ) -> None:
        super().__init__([reference, *shares], list(shares), 1, bounds)
        if reference in shares or any(share <= 0 for share in shares.values()):
            raise UsageError(
                f"Shares are above 0, and of other terms than the reference '{reference}'; found {shares}."
            )
        self.shares, self.reference = dict(shares), reference

    def check(self, engine: GANTrainer) -> None:
        """Raise a UsageError if a term is not there, or off."""
        known = {name: weight for name, weight in weights_of(engine).items() if weight}
        for name in self.measured:
            if name not in known:
                raise UsageError(
                    f"Weights cannot be balanced by '{name}'{did_you_mean(name, known)}, which is not among the losses "
                    f"that count ({', '.join(known)}): mend the shares, or give it a weight above 0 to begin with."
                )

    def wanted(
        self, weights: Mapping[str, float], sizes: Mapping[str, float], earlier: dict[str, float]
    ) -> dict[str, float]:
        """Return the weights that would have given each term its share."""
        reference = sizes[self.reference]
        return {
            name: weights[name] * share * reference / sizes[name] if sizes[name] else math.inf
            for name, share in self.shares.items()
        }


class TargetDiscriminatorLoss(_AdaptedWeights):
    """Searches the weight of the adversarial term at which the discriminator's loss is on a target.

    A discriminator that wins (low loss) wants a generator that tries harder (larger weight). Every ``interval`` epochs
    of the adversarial phase the weight moves along :func:`secant`, as in EDSRGAN (Wang et al.,
    https://arxiv.org/abs/1907.07131). Do not let :class:`BalancedWeights` set the same weight.

    Args:
        target: the discriminator's mean loss over the interval. It is half the sum of its errors on reals and on fakes:
            the published sum of 1 is 0.5 here, between a discriminator that wins (0) and one that guesses (ln 2 = 0.69,
            or 0.25 in mode lsgan, which wants a lower target).
        interval: epochs between two steps.
        bounds: smallest and largest weight.

    Raises:
        UsageError: for a target that is not above 0, an interval below 1, or impossible bounds.
    """

    key = "target_discriminator_loss"

    def __init__(self, target: float = 0.5, interval: int = 10, bounds: tuple[float, float] = (1e-5, 10.0)) -> None:
        super().__init__(["discriminator"], [ADVERSARIAL], interval, bounds)
        if target <= 0:
            raise UsageError(f"The discriminator's loss can only be on a target above 0, found {target}.")
        self.target = target

    def check(self, engine: GANTrainer) -> None:
        """Raise a UsageError if there is no adversarial term, or one whose loss has no scale, or one that is off."""
        if engine.adversarial is None or engine.adversarial.mode == "wgangp":
            found = "none" if engine.adversarial is None else "a Wasserstein critic, whose loss has no scale"
            raise UsageError(f"A target for the discriminator's loss needs a vanilla or lsgan one, found {found}.")
        if not engine.adversarial.weight:
            raise UsageError(
                "The search multiplies the weight of the adversarial term, found a weight of 0: give it one above 0."
            )

    def wanted(
        self, weights: Mapping[str, float], sizes: Mapping[str, float], earlier: dict[str, float]
    ) -> dict[str, float]:
        """Return the next weight of the search."""
        now = {"weight": weights[ADVERSARIAL], "loss": sizes["discriminator"]}
        weight = secant(now["weight"], now["loss"], self.target, **{f"{k}_before": v for k, v in earlier.items()})
        earlier |= now
        return {ADVERSARIAL: weight}


def secant(
    weight: float, loss: float, target: float, weight_before: float | None = None, loss_before: float = 0.0
) -> float:
    """Return the weight at which the line through two measurements, over the logarithm of the weight, is on ``target``.

    Where there is no earlier measurement, or the two do not rise with the weight as they should (noise of the training,
    or a weight held by its bounds), the step is a factor of 2 in the right direction. No step exceeds a factor of 10.

    Args:
        weight: above 0.
        loss: measured with it.
        target: the loss that is wanted.
        weight_before: the weight of an earlier measurement, if any.
        loss_before: the loss measured with that.
    """
    gap = target - loss
    step = math.copysign(math.log(2), gap) if gap else 0.0
    if weight_before is not None:
        run, rise = math.log(weight / weight_before), loss - loss_before
        if run * rise > 0:
            step = gap * run / rise
    return weight * math.exp(max(-math.log(10), min(step, math.log(10))))


def mean_over_ranks(values: Sequence[float]) -> list[float]:
    """Return the means of ``values`` over the ranks that train together, the same on each."""
    if not (dist.is_available() and dist.is_initialized()):
        return list(values)
    together = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(together)
    means: list[float] = (together / dist.get_world_size()).tolist()
    return means
