"""Generators and discriminators, one architecture a file; all take ``spatial_dims``."""

from rockmonai.networks.discriminators import PatchDiscriminator, PixelDiscriminator
from rockmonai.networks.init import init_weights
from rockmonai.networks.srresnet import SRResNet

__all__ = ["PatchDiscriminator", "PixelDiscriminator", "SRResNet", "init_weights"]
