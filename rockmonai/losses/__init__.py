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
from rockmonai.losses.fourier import FourierLoss, fourier_loss
from rockmonai.losses.gradient_difference import GradientDifferenceLoss, gradient_difference_loss
from rockmonai.losses.gradient_penalty import gradient_penalty
from rockmonai.losses.jacobian import JacobianPenalty, jacobian_penalty
from rockmonai.losses.normalised_weights import normalised_weights
from rockmonai.losses.one_vs_rest import OneVsRest
from rockmonai.losses.term import LossTerm
from rockmonai.losses.texture import TextureLoss, cooccurrence, texture_loss
from rockmonai.losses.vgg_features import VGGFeatureLoss, vgg_feature_loss

__all__ = [
    "AdversarialLoss",
    "FocalDiceLoss",
    "FocalDiceLossMulti",
    "FocalLossMulti",
    "FourierLoss",
    "GradientDifferenceLoss",
    "JacobianPenalty",
    "LossTerm",
    "OneVsRest",
    "TextureLoss",
    "VGGFeatureLoss",
    "adversarial_loss",
    "class_weights",
    "cooccurrence",
    "focal_dice_loss",
    "focal_dice_loss_multi",
    "focal_loss_multi",
    "fourier_loss",
    "gradient_difference_loss",
    "gradient_penalty",
    "jacobian_penalty",
    "normalised_weights",
    "texture_loss",
    "vgg_feature_loss",
]
