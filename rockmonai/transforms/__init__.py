"""What happens to a scan between the file and the network: dictionary transforms in MONAI's style."""

from rockmonai.transforms.acceptance import MinFraction, NotBlank
from rockmonai.transforms.blur import RandBlurd, blur
from rockmonai.transforms.charge import PaintCharged, RandTransplantCharged, paint_charge
from rockmonai.transforms.class_grey import ClassGreyd, class_grey
from rockmonai.transforms.classes import MasksToClassesd, class_map
from rockmonai.transforms.contrast import (
    CLAHEd,
    Contrastd,
    Gammad,
    QuantileStretchd,
    Standardised,
    central_range,
    clahe,
    contrast,
    gamma,
    standardise,
)
from rockmonai.transforms.crop import RandPairedCropd, WholeImaged
from rockmonai.transforms.decimation import Bicubicd, Decimated
from rockmonai.transforms.degradation import Degraded
from rockmonai.transforms.intensity import (
    Finited,
    GreyRange,
    ScaleGreyd,
    UnscaleGreyd,
    grey_limits,
    output_limits,
    scale_grey,
    unscale_grey,
)
from rockmonai.transforms.multisampling import RandMultiSampled, Round, multi_sample
from rockmonai.transforms.noise import RandNoised, noise
from rockmonai.transforms.opening import OpenVolumed
from rockmonai.transforms.resampling import gaussian_blur, resample
from rockmonai.transforms.symmetry import RandSymmetryd, Symmetry, symmetries, transformed

__all__ = [
    "Bicubicd",
    "CLAHEd",
    "ClassGreyd",
    "Contrastd",
    "Decimated",
    "Degraded",
    "Finited",
    "Gammad",
    "GreyRange",
    "MasksToClassesd",
    "MinFraction",
    "NotBlank",
    "OpenVolumed",
    "PaintCharged",
    "QuantileStretchd",
    "RandBlurd",
    "RandMultiSampled",
    "RandNoised",
    "RandPairedCropd",
    "RandSymmetryd",
    "RandTransplantCharged",
    "Round",
    "ScaleGreyd",
    "Standardised",
    "Symmetry",
    "UnscaleGreyd",
    "WholeImaged",
    "blur",
    "central_range",
    "clahe",
    "class_grey",
    "class_map",
    "contrast",
    "gamma",
    "gaussian_blur",
    "grey_limits",
    "multi_sample",
    "noise",
    "output_limits",
    "paint_charge",
    "resample",
    "scale_grey",
    "standardise",
    "symmetries",
    "transformed",
    "unscale_grey",
]
