"""Losses that MONAI lacks, and the named, weighted term that carries any loss into a training."""

from rockmonai.losses.adversarial import AdversarialLoss, adversarial_loss
from rockmonai.losses.class_weights import class_weights
from rockmonai.losses.focal_dice import (
    FocalDiceLoss,
    FocalDiceLossMulti,
    FocalLossMulti,
    focal_dice_loss,
    focal_dice_loss_multi,
    focal_loss_multi,
)
from rockmonai.losses.gradient_penalty import gradient_penalty
from rockmonai.losses.jacobian import JacobianPenalty, jacobian_penalty
from rockmonai.losses.one_vs_rest import OneVsRest
from rockmonai.losses.term import LossTerm

__all__ = [
    "AdversarialLoss",
    "FocalDiceLoss",
    "FocalDiceLossMulti",
    "FocalLossMulti",
    "JacobianPenalty",
    "LossTerm",
    "OneVsRest",
    "adversarial_loss",
    "class_weights",
    "focal_dice_loss",
    "focal_dice_loss_multi",
    "focal_loss_multi",
    "gradient_penalty",
    "jacobian_penalty",
]
