"""Watches the game of generator and discriminator and says when one of them has stopped playing."""

from __future__ import annotations

import logging
from statistics import fmean, median

from ignite.engine import Events

from rockmonai.engines import CycleGANTrainer, GANTrainer
from rockmonai.engines.steps import of_game
from rockmonai.errors import NumericalError

logger = logging.getLogger("rockmonai")


class CollapseMonitor:
    """Warns, with figures, when the discriminator wins outright or the predictions lose their variety.

    Over every window of iterations with a discriminator it looks for: discriminator accuracy above 0.99 or loss below
    0.02 (it tells every prediction from its label, so the generator's gradients say nothing); an adversarial loss of
    three times its earlier median; predictions whose standard deviation is under half of the labels'. Where several
    discriminators play, each game is judged by itself.

    Of every iteration it leaves ``real_accuracy`` and ``fake_accuracy``, the shares of logits on the right side, in
    ``engine.state.figures``, where :class:`rockmonai.handlers.History` takes them for metrics.csv. The critic of
    wgangp has no right answers.

    Args:
        window: iterations judged together.
        patience: collapsed windows in a row after which ``stop`` takes effect.
        stop: end the training then; otherwise it only warns.
    """

    def __init__(self, window: int = 200, patience: int = 3, stop: bool = False) -> None:
        self.window = window
        self.patience = patience
        self.stop = stop

    def attach(self, engine: GANTrainer | CycleGANTrainer) -> None:
        """Follow ``engine``, a trainer whose ``games`` name its losses, its logits and what they are about."""
        for game in engine.games:
            setattr(engine.state, f"collapse{game}", {"samples": [], "medians": [], "windows": 0})
            engine.state_dict_user_keys.append(f"collapse{game}")
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: GANTrainer | CycleGANTrainer) -> None:
        """Take note of one iteration and judge the window when it is full.

        Raises:
            NumericalError: after ``patience`` collapsed windows, if ``stop`` is set.
        """
        for game in engine.games:
            losses = engine.state.losses
            if engine.adversarial is not None and {f"discriminator{game}", f"adversarial{game}"} <= losses.keys():
                self._watch(engine, game)

    def _watch(self, engine: GANTrainer | CycleGANTrainer, game: str) -> None:
        """Do so for one game."""
        state, adversarial = engine.state, of_game(engine.adversarial, game)
        assert adversarial is not None
        fake, real = engine.games[game]
        on_reals = (state.logits[f"real{game}"] > adversarial.boundary).float().mean().item()
        on_fakes = (state.logits[f"fake{game}"] <= adversarial.boundary).float().mean().item()
        if adversarial.mode != "wgangp":
            figures = {f"real_accuracy{game}": on_reals, f"fake_accuracy{game}": on_fakes}
            state.figures = getattr(state, "figures", {}) | figures
        collapse = getattr(state, f"collapse{game}")
        collapse["samples"].append(
            {
                "accuracy": 0.5 * (on_reals + on_fakes),
                "loss": state.losses[f"discriminator{game}"],
                "adversarial": state.losses[f"adversarial{game}"],
                "variety": _deviation(state.output, fake) / max(_deviation(state.output, real), 1e-12),
            }
        )
        if len(collapse["samples"]) == self.window:
            findings = self._findings(collapse, adversarial.mode)
            collapse["samples"] = []
            self._tell(state.iteration, collapse, findings, f" of {fake}" if game else "")

    def _findings(self, collapse: dict, mode: str) -> list[str]:
        """Return what is wrong with the window, each in a few words with its figure."""
        samples, medians = collapse["samples"], collapse["medians"]
        mean = {name: fmean(sample[name] for sample in samples) for name in samples[0]}
        findings = []
        # A critic (wgangp) has no right answer, and its losses may be negative: only the variety speaks there.
        if mode != "wgangp":
            if mean["accuracy"] > 0.99:
                findings.append(f"the discriminator is right in {mean['accuracy']:.1%} of all cases")
            if mean["loss"] < 0.02:
                findings.append(f"its loss is {mean['loss']:.3g}")
            if len(medians) >= 3 and mean["adversarial"] > 3 * median(medians):
                findings.append(f"the adversarial loss rose from {median(medians):.3g} to {mean['adversarial']:.3g}")
            collapse["medians"] = [*medians, median(sample["adversarial"] for sample in samples)][-20:]
        if mean["variety"] < 0.5:
            findings.append(f"predictions vary {mean['variety']:.2f} times as much as the labels")
        return findings

    def _tell(self, iteration: int, collapse: dict, findings: list[str], of: str) -> None:
        collapse["windows"] = collapse["windows"] + 1 if findings else 0
        if not findings:
            return
        sentence = (
            f"The adversarial training{of} is collapsing: over {self.window} iterations up to {iteration} "
            f"{', '.join(findings)}. Lower the discriminator's lr, smooth its labels, or warm up longer."
        )
        if self.stop and collapse["windows"] >= self.patience:
            raise NumericalError(sentence)
        logger.warning(sentence)


def _deviation(output: dict | list, key: str) -> float:
    """Return the standard deviation of ``key`` over a batch, decollated or not."""
    images = [item[key] for item in output] if isinstance(output, list) else list(output[key])
    return fmean(float(image.float().std()) for image in images)
