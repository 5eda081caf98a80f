"""What happens to a scan between the file and the network: dictionary transforms in MONAI's style."""

from rockmonai.transforms.acceptance import MinFraction, NotBlank
from rockmonai.transforms.blur import RandBlurd, blur
from rockmonai.transforms.charge import PaintCharged, RandTransplantCharged, paint_charge
from rockmonai.transforms.class_grey import ClassGreyd, RandClassGreyd, class_grey
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
from rockmonai.transforms.guidance import GuideByClassesd, GuideByMapd, class_channels
from rockmonai.transforms.intensity import (
    Finited,
    GreyRange,
    ScaleGreyd,
    UnscaleGreyd,
    difference_range,
    grey_limits,
    output_limits,
    scale_grey,
    unscale_grey,
)
from rockmonai.transforms.magnification import Magnificationd, magnification
from rockmonai.transforms.multisampling import RandMultiSampled, Round, multi_sample
from rockmonai.transforms.noise import RandNoised, noise
from rockmonai.transforms.opening import OpenVolumed
from rockmonai.transforms.painted import ColoursToClassesd, painted_classes
from rockmonai.transforms.resampling import gaussian_blur, resample
from rockmonai.transforms.similarity import RandSimilarityCropd, sampled
from rockmonai.transforms.symmetry import RandSymmetryd, Symmetry, symmetries, transformed
from rockmonai.transforms.uncertainty import Uncertaintyd, uncertainty

__all__ = [
    "Bicubicd",
    "CLAHEd",
    "ClassGreyd",
    "ColoursToClassesd",
    "Contrastd",
    "Decimated",
    "Degraded",
    "Finited",
    "Gammad",
    "GreyRange",
    "GuideByClassesd",
    "GuideByMapd",
    "Magnificationd",
    "MasksToClassesd",
    "MinFraction",
    "NotBlank",
    "OpenVolumed",
    "PaintCharged",
    "QuantileStretchd",
    "RandBlurd",
    "RandClassGreyd",
    "RandMultiSampled",
    "RandNoised",
    "RandPairedCropd",
    "RandSimilarityCropd",
    "RandSymmetryd",
    "RandTransplantCharged",
    "Round",
    "ScaleGreyd",
    "Standardised",
    "Symmetry",
    "Uncertaintyd",
    "UnscaleGreyd",
    "WholeImaged",
    "blur",
    "central_range",
    "clahe",
    "class_channels",
    "class_grey",
    "class_map",
    "contrast",
    "difference_range",
    "gamma",
    "gaussian_blur",
    "grey_limits",
    "magnification",
    "multi_sample",
    "noise",
    "output_limits",
    "paint_charge",
    "painted_classes",
    "resample",
    "sampled",
    "scale_grey",
    "standardise",
    "symmetries",
    "transformed",
    "uncertainty",
    "unscale_grey",
]
