"""Image metrics: pure functions of two batches, and thin Ignite metrics that keep every image's value."""

from rockmonai.metrics.accuracy import PixelAccuracy, pixel_accuracy
from rockmonai.metrics.area import AreaFractionError, area_fraction_error
from rockmonai.metrics.boundary import BoundaryF, boundary_f
from rockmonai.metrics.confusion import confusion_matrix
from rockmonai.metrics.consistency import (
    Consistency,
    ContrastCorrelation,
    DownsamplingError,
    contrast_correlation,
    downsampling_error,
)
from rockmonai.metrics.continuity import slice_difference
from rockmonai.metrics.edge_width import EdgeWidth, edge_width
from rockmonai.metrics.eight_bit import PSNR8bit, SSIM8bit, psnr_8bit, ssim_8bit
from rockmonai.metrics.groups import group_of
from rockmonai.metrics.iou import IoU, iou
from rockmonai.metrics.per_image import PerImageMetric
from rockmonai.metrics.phase_noise import PhaseNoise, phase_noise
from rockmonai.metrics.phases import OtsuPhases
from rockmonai.metrics.pore_walls import (
    RoughnessError,
    SpecificSurfaceError,
    TwoPointError,
    phase_error,
    relative_error,
)
from rockmonai.metrics.psnr import PSNR, psnr
from rockmonai.metrics.ssim import SSIM, ssim
from rockmonai.metrics.summary import mean_sem, statistics_of, summary_of

__all__ = [
    "PSNR",
    "SSIM",
    "AreaFractionError",
    "BoundaryF",
    "Consistency",
    "ContrastCorrelation",
    "DownsamplingError",
    "EdgeWidth",
    "IoU",
    "OtsuPhases",
    "PSNR8bit",
    "PerImageMetric",
    "PhaseNoise",
    "PixelAccuracy",
    "RoughnessError",
    "SSIM8bit",
    "SpecificSurfaceError",
    "TwoPointError",
    "area_fraction_error",
    "boundary_f",
    "confusion_matrix",
    "contrast_correlation",
    "downsampling_error",
    "edge_width",
    "group_of",
    "iou",
    "mean_sem",
    "phase_error",
    "phase_noise",
    "pixel_accuracy",
    "psnr",
    "psnr_8bit",
    "relative_error",
    "slice_difference",
    "ssim",
    "ssim_8bit",
    "statistics_of",
    "summary_of",
]
