"""Learning-rate rules that torch does not have."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


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
