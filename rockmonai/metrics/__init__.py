"""Image metrics: pure functions of two batches, and thin Ignite metrics that keep every image's value."""

from rockmonai.metrics.accuracy import PixelAccuracy, pixel_accuracy
from rockmonai.metrics.area import AreaFractionError, area_fraction_error
from rockmonai.metrics.boundary import BoundaryF, boundary_f
from rockmonai.metrics.confusion import confusion_matrix
from rockmonai.metrics.continuity import slice_difference
from rockmonai.metrics.eight_bit import PSNR8bit, SSIM8bit, psnr_8bit, ssim_8bit
from rockmonai.metrics.iou import IoU, iou
from rockmonai.metrics.per_image import PerImageMetric
from rockmonai.metrics.pore_walls import (
    RoughnessError,
    SpecificSurfaceError,
    TwoPointError,
    phase_error,
    relative_error,
)
from rockmonai.metrics.psnr import PSNR, psnr
from rockmonai.metrics.ssim import SSIM, ssim
from rockmonai.metrics.summary import mean_sem, summary_of

__all__ = [
    "PSNR",
    "SSIM",
    "AreaFractionError",
    "BoundaryF",
    "IoU",
    "PSNR8bit",
    "PerImageMetric",
    "PixelAccuracy",
    "RoughnessError",
    "SSIM8bit",
    "SpecificSurfaceError",
    "TwoPointError",
    "area_fraction_error",
    "boundary_f",
    "confusion_matrix",
    "iou",
    "mean_sem",
    "phase_error",
    "pixel_accuracy",
    "psnr",
    "psnr_8bit",
    "relative_error",
    "slice_difference",
    "ssim",
    "ssim_8bit",
    "summary_of",
]
