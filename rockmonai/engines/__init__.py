"""Ignite engines that MONAI lacks, and what they are made of."""

from rockmonai.engines.cycle_gan_trainer import CycleGANTrainer
from rockmonai.engines.gan_trainer import GANTrainer
from rockmonai.engines.history_pool import HistoryPool
from rockmonai.engines.lr_schedules import LinearDecayLR, TwoPhaseLR
from rockmonai.engines.precision import amp_dtype, autocast

__all__ = ["CycleGANTrainer", "GANTrainer", "HistoryPool", "LinearDecayLR", "TwoPhaseLR", "amp_dtype", "autocast"]
