"""Image metrics: pure functions of two batches, and thin Ignite metrics that keep every image's value."""

from rockmonai.metrics.per_image import PerImageMetric
from rockmonai.metrics.psnr import PSNR, psnr
from rockmonai.metrics.ssim import SSIM, ssim
from rockmonai.metrics.summary import mean_sem

__all__ = ["PSNR", "SSIM", "PerImageMetric", "mean_sem", "psnr", "ssim"]
