"""Losses that MONAI lacks, and the named, weighted term that carries any loss into a training."""

from rockmonai.losses.adversarial import AdversarialLoss, adversarial_loss
from rockmonai.losses.gradient_penalty import gradient_penalty
from rockmonai.losses.jacobian import JacobianPenalty, jacobian_penalty
from rockmonai.losses.term import LossTerm

__all__ = [
    "AdversarialLoss",
    "JacobianPenalty",
    "LossTerm",
    "adversarial_loss",
    "gradient_penalty",
    "jacobian_penalty",
]
