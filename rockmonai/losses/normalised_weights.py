"""Weights of several losses that keep their proportions and a fixed sum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import overload

from rockmonai.errors import UsageError


@overload
def normalised_weights(weights: Mapping[str, float], total: float) -> dict[str, float]: ...
@overload
def normalised_weights(weights: Sequence[float], total: float) -> list[float]: ...
def normalised_weights(weights: Mapping[str, float] | Sequence[float], total: float) -> dict[str, float] | list[float]:
    """Return ``weights``, all multiplied by one factor, so that they sum to ``total``.

    A weight that is raised then lowers all others, and the learning rate keeps its meaning. Adversarial weights of 10,
    those of two discriminators of 1 and cycle weights of 100 become 9.009, 0.9009 and 90.09 for a total of 200.

    Args:
        weights: from 0, one for each role or term, by name or in order. Of a role with several terms, give each.
        total: what they sum to, above 0.

    Raises:
        UsageError: for a weight or a total that is negative or not finite, or where all are 0.
    """
    values = list(weights.values() if isinstance(weights, Mapping) else weights)
    if not all(0 <= value < math.inf for value in values) or not 0 < sum(values) < math.inf or not 0 < total < math.inf:
        raise UsageError(
            f"Weights of losses are numbers from 0, some of them and their total above it, found {weights} "
            f"for a total of {total:g}."
        )
    factor = total / sum(values)
    if isinstance(weights, Mapping):
        return {name: factor * weight for name, weight in weights.items()}
    return [factor * weight for weight in values]
