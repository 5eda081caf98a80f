"""What training draws: checked pairs, numbered patches, and a sample rock to begin with."""

from rockmonai.data.keyed import keyed_seed, seed_torch
from rockmonai.data.layouts import find_records
from rockmonai.data.pairs import pairs
from rockmonai.data.patches import PatchDataset, PatchLoader
from rockmonai.data.sample_rock import sample_rock, sample_shale
from rockmonai.data.scans import scans

__all__ = [
    "PatchDataset",
    "PatchLoader",
    "find_records",
    "keyed_seed",
    "pairs",
    "sample_rock",
    "sample_shale",
    "scans",
    "seed_torch",
]
