"""Watches the game of generator and discriminator and says when one of them has stopped playing."""

from __future__ import annotations

import logging
from collections import deque
from statistics import fmean, median

from ignite.engine import Events

from rockmonai.engines import GANTrainer
from rockmonai.errors import NumericalError

logger = logging.getLogger("rockmonai")


class CollapseMonitor:
    """Warns, with figures, when the discriminator wins outright or the predictions lose their variety.

    Over every window of iterations with a discriminator it looks for: discriminator accuracy above 0.99 or loss below
    0.02 (it tells every prediction from its label, so the generator's gradients say nothing); an adversarial loss of
    three times its earlier median; predictions whose standard deviation is under half of the labels'.

    Args:
        window: iterations judged together.
        patience: collapsed windows in a row after which ``stop`` takes effect.
        stop: end the training then; otherwise it only warns.
    """

    def __init__(self, window: int = 200, patience: int = 3, stop: bool = False) -> None:
        self.window = window
        self.patience = patience
        self.stop = stop
        self.samples: list[dict[str, float]] = []
        self.medians: deque[float] = deque(maxlen=20)
        self.collapsed_windows = 0

    def attach(self, engine: GANTrainer) -> None:
        """Follow ``engine``, a :class:`rockmonai.engines.GANTrainer`."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: GANTrainer) -> None:
        """Take note of one iteration and judge the window when it is full.

        Raises:
            NumericalError: after ``patience`` collapsed windows, if ``stop`` is set.
        """
        losses = engine.state.losses
        if engine.adversarial is None or "discriminator" not in losses or "adversarial" not in losses:
            return
        output = engine.state.output
        boundary = engine.adversarial.boundary
        logits = engine.state.logits
        right = 0.5 * ((logits["real"] > boundary).float().mean() + (logits["fake"] <= boundary).float().mean())
        self.samples.append(
            {
                "accuracy": right.item(),
                "loss": losses["discriminator"],
                "adversarial": losses["adversarial"],
                "variety": _deviation(output, "pred") / max(_deviation(output, "label"), 1e-12),
            }
        )
        if len(self.samples) == self.window:
            self._judge(engine.adversarial.mode, engine.state.iteration)
            self.samples = []

    def _judge(self, mode: str, iteration: int) -> None:
        mean = {name: fmean(sample[name] for sample in self.samples) for name in self.samples[0]}
        findings = []
        # A critic (wgangp) has no right answer, and its losses may be negative: only the variety speaks there.
        if mode != "wgangp":
            if mean["accuracy"] > 0.99:
                findings.append(f"the discriminator is right in {mean['accuracy']:.1%} of all cases")
            if mean["loss"] < 0.02:
                findings.append(f"its loss is {mean['loss']:.3g}")
            if len(self.medians) >= 3 and mean["adversarial"] > 3 * median(self.medians):
                findings.append(
                    f"the adversarial loss rose from {median(self.medians):.3g} to {mean['adversarial']:.3g}"
                )
            self.medians.append(median(sample["adversarial"] for sample in self.samples))
        if mean["variety"] < 0.5:
            findings.append(f"predictions vary {mean['variety']:.2f} times as much as the labels")
        self.collapsed_windows = self.collapsed_windows + 1 if findings else 0
        if not findings:
            return
        sentence = (
            f"The adversarial training is collapsing: over {self.window} iterations up to {iteration} "
            f"{', '.join(findings)}. Lower the discriminator's lr, smooth its labels, or warm up longer."
        )
        if self.stop and self.collapsed_windows >= self.patience:
            raise NumericalError(sentence)
        logger.warning(sentence)


def _deviation(output: dict | list, key: str) -> float:
    """Return the standard deviation of ``key`` over a batch, decollated or not."""
    images = [item[key] for item in output] if isinstance(output, list) else list(output[key])
    return fmean(float(image.float().std()) for image in images)
