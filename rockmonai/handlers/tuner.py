"""Undoes the failures of a CycleGANTrainer: back to earlier networks, on with other weights and learning rates."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Mapping
from statistics import fmean

from ignite.engine import Events

from rockmonai.data.keyed import keyed_seed
from rockmonai.engines import CycleGANTrainer
from rockmonai.engines.steps import of_game
from rockmonai.errors import UsageError
from rockmonai.handlers.failure_score import cycle_score, flip_score, rise_score, slope
from rockmonai.handlers.loss_weights import mean_over_ranks
from rockmonai.handlers.retuning import (
    ADVERSARIAL,
    DISCRIMINATOR,
    moved_rates,
    moved_weights,
    named,
    rates_of,
    set_rates,
    set_weights,
    weights_of,
)
from rockmonai.handlers.snapshots import restore_snapshot, take_snapshot
from rockmonai.handlers.symptoms import NOTED, correlations, differences, losses, verdicts

logger = logging.getLogger("rockmonai")


class Tuner:
    """Checks every ``interval`` iterations whether the training has failed, and if so repeats them differently.

    The score of a check sums up inverted contrast in the last batch, losses that rise and cycles that have left their
    minimum (see :mod:`rockmonai.handlers.failure_score`), all without the weights, which change. Above 1, networks,
    optimisers, pools and the record of losses return to the newest snapshot that is two intervals older than the
    furthest that the training ever got, or else to the oldest; after each ten attempts in vain, to one that is another
    interval older. Iterations are counted on, so that other batches come, but for those of a kickstart, which come
    again. Then the learning rates move towards what suits the game (see
    :func:`rockmonai.handlers.retuning.moved_rates`). The first return restores the weights of the config; any other one
    moves them at random and raises those of cycle losses that do not fall, of the adversarial loss if discriminators
    are fooled by under 40 % of the fakes, and of the discriminators' losses if under 60 % of their verdicts are right.

    A training that does not fail is not touched, unless ``explore`` is set. Snapshots of passed checks lie in the
    memory of the CPU and travel with the checkpoints, which become up to four times as large. Draws depend on the seed
    and the iteration only and ranks decide together: a resumed run decides the same. Each check leaves ``tuner_score``
    and the number of ``rollbacks`` so far in ``engine.state.figures``, where :class:`rockmonai.handlers.History`, if it
    comes later among the handlers, takes them for metrics.csv. Let no schedule set the same learning rates.

    Source: the rules of 3DCycleGAN, https://github.com/pvilla/3DCycleGaN. Their bounds of a weight, 0.1 and 100, are
    meant for weights that sum to about 200 (see :func:`rockmonai.losses.normalised_weights`). Their bound of the cycle
    losses is meant for mean absolute differences of greys with a standard deviation of 1: whatever loss the terms of
    the cycles have, these differences are measured, in standard deviations of the real images over the last two
    intervals.

    Args:
        interval: iterations between checks, and in each of the spans that a check compares.
        start: iterations, of those that were not undone, before checks begin.
        explore: move the weights after passed checks, too, a little and rather up than down, as the published rules do.
        seed: of the random numbers.

    Raises:
        UsageError: for an interval below 5, or a start before there are two intervals to compare.
    """

    def __init__(self, interval: int = 100, start: int = 250, explore: bool = False, seed: int = 0) -> None:
        if interval < 5 or start < 2 * interval:
            raise UsageError(
                f"A tuner compares the last two intervals before it acts, found interval {interval} and start {start}: "
                "set interval to 5 or more, and start to twice that or more."
            )
        self.interval = interval
        self.start = start
        self.explore = explore
        self.seed = seed

    def attach(self, engine: CycleGANTrainer) -> None:
        """Follow ``engine``, a :class:`rockmonai.engines.CycleGANTrainer`.

        Raises:
            UsageError: if it is of another kind, if its discriminators are critics, which have no right answers, or if
                no generator learns from them.
        """
        found = _untunable(engine)
        if found is not None:
            raise UsageError(
                f"A tuner needs a CycleGANTrainer with mode vanilla or lsgan and adversarial weights above 0, found "
                f"{found}: remove it."
            )
        self.first_weights, self.first_rates = weights_of(engine), rates_of(engine)
        self.cycles = [t.name for t in engine.losses if {"recovered_image", "recovered_label"} & {*t.compared}]
        self.errors = {
            f"error_{kind}": f"std_{kind}" for kind in ("image", "label") if f"recovered_{kind}" in engine.compared
        }
        record = {"step": 0, "series": {}, "lowest": {}}
        counters = {"furthest": 0, "attempts": 0, "rollbacks": 0}
        engine.state.tuner = {"record": record, "snapshots": [], "weights": {}, **counters}
        engine.state_dict_user_keys.append("tuner")
        engine.add_event_handler(Events.EPOCH_STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: CycleGANTrainer) -> None:
        """Take note of one iteration and, after every ``interval`` of them, judge the training."""
        if self._note(engine) and engine.state.tuner["record"]["step"] % self.interval == 0:
            self._check(engine)

    def _begin(self, engine: CycleGANTrainer) -> None:
        # A resumed run has read its weights and snapshots from its checkpoint.
        set_weights(engine, engine.state.tuner["weights"])
        if not engine.state.tuner["snapshots"]:
            self._take_snapshot(engine)

    def _note(self, engine: CycleGANTrainer) -> bool:
        """Add the iteration to the record, unless it overflowed in fp16, which is no step of the training."""
        measured = losses(engine) | verdicts(engine) | differences(engine)
        means = dict(zip(measured, mean_over_ranks(list(measured.values())), strict=True))
        if not all(map(math.isfinite, means.values())):
            return False
        record, width, kept = engine.state.tuner["record"], self.interval // 5, 2 * self.interval + self.interval // 5
        series = {name: [*record["series"].get(name, []), mean][-kept:] for name, mean in means.items()}
        for error, std in self.errors.items():
            # Of all recent batches: one of air alone may have a single grey.
            series[error][-1] /= fmean(series[std]) or 1.0
        lowest = record["lowest"]
        if record["step"] + 1 >= width:
            lowest = {name: min(lowest.get(name, math.inf), fmean(series[name][-width:])) for name in self.errors}
        # Snapshots share its parts: it is made anew, never changed.
        engine.state.tuner["record"] = {"step": record["step"] + 1, "series": series, "lowest": lowest}
        return True

    def _check(self, engine: CycleGANTrainer) -> None:
        state, record = engine.state.tuner, engine.state.tuner["record"]
        state["furthest"] = max(state["furthest"], record["step"])
        parts = {"flip": flip_score(mean_over_ranks(correlations(engine)))}
        if record["step"] <= self.start:
            # Of all snapshots only the first, of networks that have learnt nothing, may have inverted contrast.
            if parts["flip"] <= 1:
                self._take_snapshot(engine)
            return
        series, lowest = record["series"], record["lowest"]
        parts["rise"] = sum(rise_score(series[name], self.interval) for name in series if name not in NOTED)
        parts["cycle"] = max((cycle_score(series[e], lowest[e], self.interval) for e in self.errors), default=0.0)
        score = sum(parts.values())
        if score > 1:
            self._roll_back(engine, f"{score:.3g}, " + ", ".join(f"{name} {part:.3g}" for name, part in parts.items()))
        else:
            self._go_on(engine)
        figures = {"tuner_score": score, "rollbacks": float(state["rollbacks"])}
        engine.state.figures = getattr(engine.state, "figures", {}) | figures

    def _go_on(self, engine: CycleGANTrainer) -> None:
        state = engine.state.tuner
        if state["record"]["step"] == state["furthest"]:
            state["attempts"] = 0
        if self.explore:
            self._weigh(engine, self._moved_weights(engine, (-0.3, 0.7), 1.2))
            logger.info("tuning after iteration %d: %s", engine.state.iteration, _listed(weights_of(engine)))
        self._take_snapshot(engine)

    def _take_snapshot(self, engine: CycleGANTrainer) -> None:
        state = engine.state.tuner
        # The two that the next checks may need, and an older one for when they are of no use.
        state["snapshots"] = [*state["snapshots"], {"record": state["record"], "things": take_snapshot(engine)}][-3:]

    def _roll_back(self, engine: CycleGANTrainer, score: str) -> None:
        state, record = engine.state.tuner, engine.state.tuner["record"]
        rates = moved_rates(rates_of(engine), self.first_rates, self._recent("accuracy", record), record["step"])
        again = state["rollbacks"] > 0
        self._weigh(engine, self._moved_weights(engine, (-0.5, 0.5), 1.3) if again else self.first_weights)
        target = state["furthest"] - (2 + state["attempts"] // 10) * self.interval
        while len(state["snapshots"]) > 1 and state["snapshots"][-1]["record"]["step"] > target:
            state["snapshots"].pop()
        earlier = state["snapshots"][-1]
        restore_snapshot(engine, earlier["things"])
        set_rates(engine, rates)
        state |= {"record": earlier["record"], "rollbacks": state["rollbacks"] + 1, "attempts": state["attempts"] + 1}
        logger.warning(
            "The training has failed by iteration %d (score %s): it is taken back by %d iterations and goes on with "
            "the weights %s and the learning rates %s.",
            engine.state.iteration,
            score,
            record["step"] - earlier["record"]["step"],
            _listed(weights_of(engine)),
            ", ".join(f"{rate:.3g}" for of_groups in rates for rate in of_groups),
        )

    def _moved_weights(self, engine: CycleGANTrainer, spread: tuple[float, float], gain: float) -> dict[str, float]:
        record = engine.state.tuner["record"]
        slopes = {name: slope(record["series"][name][-2 * self.interval :]) for name in self.cycles}
        usual = fmean(map(abs, slopes.values())) if slopes else 0.0
        raised = {name for name, rise in slopes.items() if rise > -usual}
        if self._recent("fooled", record) < 0.4:
            raised |= named(ADVERSARIAL, engine.adversarial).keys()
        if self._recent("accuracy", record) < 0.6:
            raised |= named(DISCRIMINATOR, engine.d_weight).keys()
        draw = random.Random(keyed_seed(self.seed, engine.state.iteration))
        return moved_weights(weights_of(engine), draw, spread, raised, gain)

    def _weigh(self, engine: CycleGANTrainer, weights: dict[str, float]) -> None:
        engine.state.tuner["weights"] = weights
        set_weights(engine, weights)

    def _recent(self, verdict: str, record: dict) -> float:
        return fmean(record["series"][verdict][-self.interval :])


def _untunable(engine: object) -> str | None:
    """Return what a tuner cannot work with, if so."""
    if not isinstance(engine, CycleGANTrainer):
        return f"a {type(engine).__name__}"
    games = [of_game(engine.adversarial, game) for game in engine.games]
    if any(game.mode == "wgangp" for game in games):
        return "a Wasserstein critic"
    return "an adversarial weight of 0" if any(game.weight == 0 for game in games) else None


def _listed(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {weight:.3g}" for name, weight in weights.items())
