"""How badly a training of two generators between unpaired images is failing, as a number: above 1, it has failed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

LIMIT = 20.0
"""A mean loss that no sound training shows, and what each certain sign of failure counts."""


def grey_correlation(fake: Tensor, real: Tensor) -> float:
    """Return the correlation of the greys of images with those of what they were made of, from -1 to 1.

    It is negative where ``fake`` is nearer, by the mean squared difference of z-scores, to the negative of ``real``
    than to ``real`` itself: the generator has inverted the contrast, which no cycle loss notices if the other one
    inverts it back. Both are brought to the smaller of their sizes by area averaging, channels to their mean; the
    z-scores are those of the whole batch. Images of one grey correlate with nothing: 0.

    Args:
        fake: what a generator made, (B, C, *spatial), any greys.
        real: what it was made of, (B, C', *spatial'), any greys.
    """
    size = [min(sizes) for sizes in zip(fake.shape[2:], real.shape[2:], strict=True)]
    a, b = (F.interpolate(x.detach().float().mean(1, keepdim=True), size, mode="area") for x in (fake, real))
    a, b = a - a.mean(), b - b.mean()
    norm = float(a.norm() * b.norm())
    return float((a * b).sum()) / norm if norm else 0.0


def flip_score(correlations: Sequence[float]) -> float:
    """Return 20 if the contrast of both directions, 0.5 if that of one is inverted, else 0.

    Args:
        correlations: of either direction, see :func:`grey_correlation`.
    """
    return (0.0, 0.5, LIMIT)[sum(correlation < 0 for correlation in correlations)]


def rise_score(values: Sequence[float], window: int = 100) -> float:
    """Return how badly a loss has risen, 0 for one that falls or stays.

    With the running mean over a fifth of ``window``, it is the sum of

    * its maximum over the last two windows, divided by 3 times its mean over the first of them, less 1, if it exceeds
      4 times this mean;
    * the mean over the last window divided by that over the one before, less 1, if it is larger;
    * 20, if the mean over the last window exceeds 20.

    Args:
        values: the loss of every iteration, at least 2.2 windows of them, none negative, without its weight.
        window: iterations.
    """
    width = window // 5
    smooth = np.convolve(values, np.full(width, 1 / width), "valid")[-2 * window :]
    before, recent = max(float(smooth[:window].mean()), 1e-12), float(smooth[window:].mean())
    peak = float(smooth.max())
    score = peak / (3 * before) - 1 if peak > 4 * before else 0.0
    score += max(recent / before - 1, 0.0)
    return score + (LIMIT if recent > LIMIT else 0.0)


def cycle_score(values: Sequence[float], lowest: float, window: int = 100) -> float:
    """Return 20 if the difference that a cycle leaves has left the least that it ever was, else 0.

    Args:
        values: the mean absolute difference of every iteration, at least ``window`` of them, in standard deviations of
            the real greys.
        lowest: minimum over the training of its running mean over a fifth of ``window``.
        window: iterations; the mean over the last of them may be up to 1.4 times 0.1 more than ``lowest``.
    """
    return LIMIT if float(np.mean(values[-window:])) > 1.4 * (lowest + 0.1) else 0.0


def slope(values: Sequence[float]) -> float:
    """Return by how much ``values`` rise from one to the next, along the straight line that fits them best."""
    return float(np.polyfit(np.arange(len(values)), values, 1)[0])
