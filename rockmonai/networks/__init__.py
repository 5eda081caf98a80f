"""Generators and discriminators, one architecture a file; all take ``spatial_dims``."""

from rockmonai.networks.cycle_error import CycleError
from rockmonai.networks.discriminators import PatchDiscriminator, PixelDiscriminator
from rockmonai.networks.edsr import EDSR
from rockmonai.networks.filters import GammaFilter, LinearFilter
from rockmonai.networks.init import init_weights
from rockmonai.networks.original_weights import renamed_weights
from rockmonai.networks.repair import Repair
from rockmonai.networks.resnet_generator import ResNetGenerator
from rockmonai.networks.scaling_unet import ScalingUNet
from rockmonai.networks.self_guided import SelfGuided, Thresholds
from rockmonai.networks.semsr import SemSR
from rockmonai.networks.srresnet import SRResNet
from rockmonai.networks.stacked_unets import StackedUNets
from rockmonai.networks.unet import UNet
from rockmonai.networks.unet_generator import UNetGenerator
from rockmonai.networks.vgg19 import VGG19Features, read_vgg19
from rockmonai.networks.vgg_discriminator import VGGDiscriminator

__all__ = [
    "EDSR",
    "CycleError",
    "GammaFilter",
    "LinearFilter",
    "PatchDiscriminator",
    "PixelDiscriminator",
    "Repair",
    "ResNetGenerator",
    "SRResNet",
    "ScalingUNet",
    "SelfGuided",
    "SemSR",
    "StackedUNets",
    "Thresholds",
    "UNet",
    "UNetGenerator",
    "VGG19Features",
    "VGGDiscriminator",
    "init_weights",
    "read_vgg19",
    "renamed_weights",
]
