"""Greys of a scan to the [-1, 1] of a network and back, and values that are no numbers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from rockmonai.errors import DataError

GreyRange = Sequence[float] | Literal["dtype"]


def scale_grey(x: torch.Tensor, lo: float, hi: float) -> torch.Tensor:
    """Return ``x`` as float32 with ``lo`` at -1 and ``hi`` at 1; values outside are not clipped."""
    return (x.to(torch.float32) - lo) * (2 / (hi - lo)) - 1


def unscale_grey(y: torch.Tensor, lo: float, hi: float, dtype: torch.dtype | np.dtype | str) -> torch.Tensor:
    """Return ``y`` with -1 at ``lo`` and 1 at ``hi`` as ``dtype``; integers are rounded and clipped, never wrapped.

    Args:
        y: floating-point values, nominally in [-1, 1].
        lo: grey of -1.
        hi: grey of 1.
        dtype: a dtype of torch or numpy, or its name.
    """
    dtype = _torch_dtype(dtype)
    greys = (y.to(torch.float64) + 1).mul_((hi - lo) / 2).add_(lo)
    if dtype.is_floating_point:
        return greys.to(dtype)
    limits = torch.iinfo(dtype)
    return greys.round_().clamp_(limits.min, limits.max).to(dtype)


def grey_limits(grey_range: GreyRange, dtype: torch.dtype | np.dtype | str) -> tuple[float, float]:
    """Return the greys that stand for -1 and 1 in a scan of type ``dtype``.

    Args:
        grey_range: the two greys, or ``"dtype"`` for the full range of an integer type.
        dtype: a dtype of torch or numpy, or its name.

    Raises:
        DataError: a floating-point type, whose full range means nothing, without a range; or an empty range.
    """
    if not isinstance(grey_range, str):
        lo, hi = grey_range
        if not lo < hi:
            raise DataError(f"A grey_range from {lo:g} to {hi:g} is empty: give it as [black, white].")
        return float(lo), float(hi)
    dtype = _torch_dtype(dtype)
    if dtype.is_floating_point:
        raise DataError(f"Greys of type {dtype} have no natural range: give grey_range as [black, white].")
    return float(torch.iinfo(dtype).min), float(torch.iinfo(dtype).max)


def output_limits(
    grey_range: GreyRange, scanned: torch.dtype | np.dtype | str, written: torch.dtype | np.dtype | str
) -> tuple[float, float]:
    """Return the greys that stand for -1 and 1 in an output of type ``written`` made from a scan of type ``scanned``.

    They are those of the scan, unless it is the full range of its type that was meant and the output is of another
    integer type, which has its own.
    """
    own = isinstance(grey_range, str) and not _torch_dtype(written).is_floating_point
    return grey_limits(grey_range, written if own else scanned)


def difference_range(grey_range: GreyRange) -> GreyRange:
    """Return the greys of -1 and 1 where differences of greys are written: from 0 to the width of ``grey_range``."""
    if isinstance(grey_range, str):
        return grey_range
    lo, hi = grey_range
    return [0.0, hi - lo]


def _torch_dtype(dtype: torch.dtype | np.dtype | str) -> torch.dtype:
    if isinstance(dtype, torch.dtype):
        return dtype
    return torch.from_numpy(np.empty(0, np.dtype(dtype).newbyteorder("="))).dtype


class ScaleGreyd(MapTransform):
    """Maps greys to float32 in [-1, 1].

    Args:
        keys: keys of (C, *spatial) greys.
        grey_range: the greys of -1 and 1, or ``"dtype"`` for the full range of an integer type.
        allow_missing_keys: leave out keys that a record does not have.

    Raises:
        DataError: floating-point greys without a ``grey_range``.
    """

    def __init__(self, keys: KeysCollection, grey_range: GreyRange = "dtype", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.grey_range = grey_range

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys as float32."""
        scaled = dict(data)
        for key in self.key_iterator(scaled):
            x = torch.as_tensor(scaled[key])
            scaled[key] = scale_grey(x, *grey_limits(self.grey_range, x.dtype))
        return scaled


class UnscaleGreyd(MapTransform):
    """Maps [-1, 1] to greys: the inverse of :class:`ScaleGreyd`, rounded and clipped to the type of the scan.

    Args:
        keys: keys of (C, *spatial) values in [-1, 1].
        dtype: type of the greys, as the name of a numpy dtype.
        grey_range: the greys of -1 and 1, or ``"dtype"`` for the full range of an integer type.
        allow_missing_keys: leave out keys that a record does not have.

    Raises:
        DataError: a floating-point ``dtype`` without a ``grey_range``.
    """

    def __init__(
        self,
        keys: KeysCollection,
        dtype: str = "uint8",
        grey_range: GreyRange = "dtype",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.dtype = dtype
        self.limits = grey_limits(grey_range, dtype)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys as greys of ``dtype``."""
        greys = dict(data)
        for key in self.key_iterator(greys):
            greys[key] = unscale_grey(torch.as_tensor(greys[key]), *self.limits, self.dtype)
        return greys


class Finited(MapTransform):
    """Replaces NaN and infinities by 0 in floating-point values of any shape."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys finite."""
        finite = dict(data)
        for key in self.key_iterator(finite):
            finite[key] = torch.nan_to_num(torch.as_tensor(finite[key]), nan=0.0, posinf=0.0, neginf=0.0)
        return finite
