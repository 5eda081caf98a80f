"""Learning-rate rules that torch does not have."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from rockmonai.errors import UsageError


class LinearDecayLR(LambdaLR):
    """Keeps the rate constant, then lowers it linearly towards zero, as image-translation GANs are trained.

    After ``e`` steps the rate is multiplied by ``1 - max(0, e + 1 - constant) / (decay + 1)``; for any other rule use
    torch's own StepLR, CosineAnnealingLR, ExponentialLR, or ReduceLROnPlateau with
    :func:`rockmonai.handlers.key_metric_of`.

    Args:
        optimizer: whose rate is scheduled.
        constant_epochs: epochs at the full rate.
        decay_epochs: epochs over which the rate falls.
    """

    def __init__(self, optimizer: Optimizer, constant_epochs: int, decay_epochs: int) -> None:
        self.constant_epochs = constant_epochs
        self.decay_epochs = decay_epochs
        super().__init__(optimizer, self._factor)

    def _factor(self, step: int) -> float:
        return 1.0 - max(0, step + 1 - self.constant_epochs) / (self.decay_epochs + 1)


class TwoPhaseLR(LambdaLR):
    """Lowers the rate along half a cosine in the first phase, and again from a rate of its own in the second.

    For a generator that learns with the pixel loss first and against a discriminator afterwards: after ``e`` of the
    phase's ``n`` epochs the rate is the phase's first one times ``(1 + cos(pi e / n)) / 2`` (Loshchilov and Hutter,
    https://arxiv.org/abs/1608.03983, of whose restarts this is one).

    Args:
        optimizer: whose rate, that of the first phase, is scheduled.
        first_epochs: epochs of the first phase, the ``warmup_epochs`` of a GANTrainer.
        epochs: of both phases together.
        second_lr: the rate with which the second phase begins.

    Raises:
        UsageError: more epochs in the first phase than in both.
    """

    def __init__(self, optimizer: Optimizer, first_epochs: int, epochs: int, second_lr: float) -> None:
        if first_epochs > epochs:
            raise UsageError(
                f"A training of {epochs} epochs has no first phase of {first_epochs}: lower warmup_epochs."
            )
        self.first_epochs = first_epochs
        self.epochs = epochs
        self.second = second_lr / optimizer.defaults["lr"]
        super().__init__(optimizer, self._factor)

    def _factor(self, step: int) -> float:
        first = step < self.first_epochs
        began, end = (0, self.first_epochs) if first else (self.first_epochs, self.epochs)
        share = (step - began) / (end - began) if end > began else 1.0
        return (1.0 if first else self.second) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
