"""What a mask of the pores, or the texture, says about the rock: pure functions of arrays, in 2D and 3D alike."""

from rockmonai.petrophysics.box_counting import box_counts, fractal_dimension
from rockmonai.petrophysics.masks import porosity
from rockmonai.petrophysics.power_spectrum import power_spectrum
from rockmonai.petrophysics.roughness import roughness
from rockmonai.petrophysics.surface import interface_length, specific_surface
from rockmonai.petrophysics.two_point import two_point_correlation, two_point_error

__all__ = [
    "box_counts",
    "fractal_dimension",
    "interface_length",
    "porosity",
    "power_spectrum",
    "roughness",
    "specific_surface",
    "two_point_correlation",
    "two_point_error",
]
