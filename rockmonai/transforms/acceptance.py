"""Rules that decide whether a random window is worth training on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from monai.config import KeysCollection
from monai.utils import ensure_tuple

from rockmonai.errors import NoWindow
from rockmonai.transforms.resampling import resample


class Rule(Protocol):
    """Accepts a window of which it measures at least ``fraction``; its repr says what it wants."""

    fraction: float

    def measure(self, window: Mapping[Hashable, torch.Tensor]) -> float:
        """Return what part of the window, from 0 to 1, is as it should be."""


def first_accepted(
    draw: Callable[[], dict[Hashable, Any]], rules: Sequence[Rule], max_tries: int, name: str
) -> dict[Hashable, Any]:
    """Return the first window that ``draw`` gives and all ``rules`` accept.

    Args:
        draw: returns another window at every call.
        rules: what it must meet.
        max_tries: windows to draw before giving up.
        name: what the user knows the windows' origin by.

    Raises:
        NoWindow: none of ``max_tries`` windows is accepted.
    """
    best = np.zeros(len(rules))
    for _ in range(max_tries):
        window = draw()
        found = [rule.measure(window) for rule in rules]
        if all(part >= rule.fraction for part, rule in zip(found, rules, strict=True)):
            return window
        best = np.maximum(best, found)
    wanted = "; ".join(f"{rule}, at best {part:.1%}" for rule, part in zip(rules, best, strict=True))
    raise NoWindow(
        f"No window of {name} was accepted in {max_tries} tries (wanted {wanted}): lower the fractions or leave the "
        "file out."
    )


class MinFraction:
    """Accepts a window of which enough voxels are positive in some keys and zero in others, all at once.

    For a pair with charging artefacts ``MinFraction(0.95, zero="charge")`` wants at most 5 % charged pixels, and
    ``MinFraction(0.75, positive=["image", "label"], zero="charge")`` at least 75 % that show rock on both sides and are
    not charged. The conditions are combined by a logical AND, never by multiplying greys.

    Args:
        fraction: smallest fraction of the voxels, from 0 to 1.
        positive: keys that must be above zero; for scans whose background is another grey see :class:`NotBlank`.
        zero: keys that must be zero; a mask that the data set does not have is zero everywhere.
    """

    def __init__(self, fraction: float, positive: KeysCollection = (), zero: KeysCollection = ()) -> None:
        self.fraction = fraction
        self.positive = ensure_tuple(positive)
        self.zero = ensure_tuple(zero)

    def measure(self, window: Mapping[Hashable, torch.Tensor]) -> float:
        """Return the fraction of voxels that meet all conditions, on the grid of the largest key.

        Args:
            window: one tensor (C, *spatial) for each key, a voxel is positive or zero where all its channels are.
        """
        conditions = [(window[key].float() > 0).all(0) for key in self.positive]
        conditions += [(window[key] == 0).all(0) for key in self.zero if key in window]
        if not conditions:
            return 1.0
        size = max(conditions, key=torch.numel).shape
        return float(torch.stack([resample(met, size, "nearest") for met in conditions]).all(0).float().mean())

    def __repr__(self) -> str:
        names = [*(f"{key} > 0" for key in self.positive), *(f"{key} = 0" for key in self.zero)]
        return f"{' and '.join(names)} in {self.fraction:.0%} of the voxels"


class NotBlank:
    """Accepts a window that is not mostly one and the same grey: the surroundings of a sample, padding, a lost slice.

    No grey is taken for the background, so unsigned, signed and floating-point scans are treated alike, and a binary
    image passes as long as the rarer phase has its fraction. Surroundings with noise are not blank.

    Args:
        fraction: smallest fraction of the voxels that differ from the commonest grey, from 0 to 1.
        key: key of the greys.
    """

    def __init__(self, fraction: float = 0.1, key: str = "label") -> None:
        self.fraction = fraction
        self.key = key

    def measure(self, window: Mapping[Hashable, torch.Tensor]) -> float:
        """Return the fraction of the greys (C, *spatial) that differ from the commonest of them; NaN is one grey."""
        greys = window[self.key].numpy(force=True)
        return 1 - float(np.unique(greys, return_counts=True)[1].max()) / greys.size

    def __repr__(self) -> str:
        return f"{self.fraction:.0%} of {self.key} unlike its commonest grey"
