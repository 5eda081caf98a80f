"""How a network is applied to images and volumes."""

from rockmonai.inferers.application import fit_for
from rockmonai.inferers.block_inferer import BlockInferer
from rockmonai.inferers.footprint import Footprint, footprint
from rockmonai.inferers.frozen_statistics import freeze_statistics
from rockmonai.inferers.slicewise import Orthogonal, Slicewise
from rockmonai.inferers.sliding_window import SlidingWindow
from rockmonai.inferers.tiling import Tiling, tile

__all__ = [
    "BlockInferer",
    "Footprint",
    "Orthogonal",
    "Slicewise",
    "SlidingWindow",
    "Tiling",
    "fit_for",
    "footprint",
    "freeze_statistics",
    "tile",
]
