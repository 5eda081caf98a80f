"""Averages over a part of each image: the charged pixels, the pores, the bright minerals."""

from __future__ import annotations

import torch

from rockmonai.errors import DataError


def mean_within(values: torch.Tensor, within: torch.Tensor | None = None) -> torch.Tensor:
    """Return the mean of each image's values, (B,), over a region of it; NaN where an image has none of it.

    Args:
        values: one number per voxel, (B, C, ...).
        within: mask (B, 1, ...) that is not 0 in the region; None for all voxels.
    """
    if within is None:
        return values.flatten(1).mean(1)
    inside = (within != 0).to(values).expand_as(values)
    return (values * inside).flatten(1).sum(1) / inside.flatten(1).sum(1)


def check_region(within: torch.Tensor | None, images: torch.Tensor) -> None:
    """Raise a DataError unless ``within`` is None or has one channel and otherwise the shape of ``images``."""
    expected = (images.shape[0], 1, *images.shape[2:])
    if within is not None and tuple(within.shape) != expected:
        raise DataError(
            f"A region of the shape {tuple(within.shape)} does not lie in images of the shape {tuple(images.shape)}: "
            f"it must be {expected}; cut it together with the label."
        )
