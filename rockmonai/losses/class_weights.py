"""How much a voxel of each class counts, so that rare classes are learned too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from rockmonai.errors import DataError, UsageError, did_you_mean

SCHEMES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "none": torch.ones_like,
    "inverse": torch.reciprocal,
    "sqrt": torch.rsqrt,
    "complement": lambda share: 1 - share,
}


def class_weights(
    counts: Sequence[float] | torch.Tensor, scheme: str = "sqrt", device: torch.device | str | None = None
) -> torch.Tensor:
    """Return the weight of each class, (C,) float32, for the ``weight`` of a loss.

    The mean weight of all counted voxels is 1, so that no scheme changes the learning rate. A class without a voxel
    weighs 0.

    Args:
        counts: number of voxels of each class, (C,).
        scheme: what the weight is proportional to: ``"none"`` is 1, ``"inverse"`` one over the class's share of the
            voxels, ``"sqrt"`` one over the root of it, ``"complement"`` one minus it, which hardly tells rare classes
            apart.
        device: where the weights are wanted.

    Raises:
        UsageError: for an unknown scheme.
        DataError: for counts from which no weights follow: none at all, or for ``"complement"`` those of one class.
    """
    if scheme not in SCHEMES:
        raise UsageError(
            f"Classes are weighed by {', '.join(SCHEMES)}, not by '{scheme}'{did_you_mean(scheme, SCHEMES)}."
        )
    voxels = torch.as_tensor(counts, dtype=torch.float64)
    share = voxels / voxels.sum()
    weights = torch.where(share > 0, SCHEMES[scheme](share), 0)
    mean = (share * weights).sum()
    if not mean > 0:
        raise DataError(f"No weights follow from voxels of fewer than two classes, found counts {voxels.tolist()}.")
    return (weights / mean).float().to(device)
