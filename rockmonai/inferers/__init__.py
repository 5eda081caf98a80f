"""How a network is applied to images and volumes."""

from rockmonai.inferers.application import fit_for
from rockmonai.inferers.block_inferer import BlockInferer
from rockmonai.inferers.footprint import Footprint, footprint
from rockmonai.inferers.frozen_statistics import freeze_statistics
from rockmonai.inferers.magnified import Magnified, magnified, whole_steps
from rockmonai.inferers.slicewise import Orthogonal, Slicewise
from rockmonai.inferers.sliding_window import SlidingWindow
from rockmonai.inferers.symmetrised import Symmetrised
from rockmonai.inferers.tiling import Tiling, tile

__all__ = [
    "BlockInferer",
    "Footprint",
    "Magnified",
    "Orthogonal",
    "Slicewise",
    "SlidingWindow",
    "Symmetrised",
    "Tiling",
    "fit_for",
    "footprint",
    "freeze_statistics",
    "magnified",
    "tile",
    "whole_steps",
]
