"""Deep learning for digital rocks: what MONAI lacks, and nothing that it has."""

__version__ = "0.1.0"
