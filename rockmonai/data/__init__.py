"""What networks are given: pairs and patches to learn from, the blocks of a scan, and a sample rock to begin with."""

from rockmonai.data.block_dataset import BlockDataset, BlockLoader
from rockmonai.data.class_counts import class_counts
from rockmonai.data.domains import domains, image_patch_size
from rockmonai.data.keyed import keyed_seed, seed_torch
from rockmonai.data.layouts import find_records
from rockmonai.data.otsu import multi_otsu, otsu_thresholds
from rockmonai.data.pairs import pairs
from rockmonai.data.partner import partner
from rockmonai.data.patches import PatchDataset, PatchLoader
from rockmonai.data.sample_rock import sample_rock, sample_shale
from rockmonai.data.scan import Scan
from rockmonai.data.tiles import tiles
from rockmonai.data.unpaired import UnpairedDataset

__all__ = [
    "BlockDataset",
    "BlockLoader",
    "PatchDataset",
    "PatchLoader",
    "Scan",
    "UnpairedDataset",
    "class_counts",
    "domains",
    "find_records",
    "image_patch_size",
    "keyed_seed",
    "multi_otsu",
    "otsu_thresholds",
    "pairs",
    "partner",
    "sample_rock",
    "sample_shale",
    "seed_torch",
    "tiles",
]
