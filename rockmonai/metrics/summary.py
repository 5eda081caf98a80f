"""How values of single images become one number with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from rockmonai.errors import DataError


def mean_sem(values: torch.Tensor | Sequence[float]) -> tuple[float, float]:
    """Return the mean of ``values`` and its standard error.

    The standard error is the sample's standard deviation over the square root of the count; NaN for a single value,
    which tells nothing about its spread, and where a value is infinite.

    Args:
        values: one number per image, any shape.

    Raises:
        DataError: when there are none.
    """
    sample = torch.as_tensor(values, dtype=torch.float64).flatten()
    count = len(sample)
    if count == 0:
        raise DataError("There is no mean of no values: no image was judged; check the evaluation's data set.")
    sem = sample.std().item() / math.sqrt(count) if count > 1 else math.nan
    return sample.mean().item(), sem


def summary_of(values: torch.Tensor) -> tuple[float, float]:
    """Return mean and standard error of the values that are not NaN; NaN twice where there are none of these."""
    present = _present(values)
    return mean_sem(present) if len(present) else (math.nan, math.nan)


def statistics_of(values: torch.Tensor) -> dict[str, float | int | None]:
    """Return ``mean``, ``std`` (of the sample), ``sem`` and the number ``images`` of the values that are not NaN.

    What there is too little for, or what is not finite because a value is infinite, is None; the mean may be infinite.
    """
    (mean, sem), count = summary_of(values), len(_present(values))
    finite = math.isfinite(sem)
    return {
        "mean": None if math.isnan(mean) else mean,
        "std": sem * math.sqrt(count) if finite else None,
        "sem": sem if finite else None,
        "images": count,
    }


def _present(values: torch.Tensor) -> torch.Tensor:
    return values.flatten()[~values.flatten().isnan()]
