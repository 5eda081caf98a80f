"""What the prediction of a block becomes in a volume: greys, numbers of classes, or how sure these are."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from rockmonai.errors import DataError, ModelError, NumericalError
from rockmonai.inferers.tiling import Tiling
from rockmonai.transforms import uncertainty, unscale_grey
from rockmonai.volumes.blocks import Block, in_words, scaled, size_of, within

Limits = tuple[float, float]

# Voxels that are converted at one time.
_SLAB = 1 << 16


def core_of(pred: torch.Tensor, block: Block, tiling: Tiling) -> torch.Tensor:
    """Return the core of a prediction (1, C, *spatial) that covers it, or all that the block read, as (C, *core).

    Raises:
        ModelError: the prediction covers neither.
    """
    core, read = (scaled(box, tiling.scale) for box in (block.core, block.read))
    if tuple(pred.shape[2:]) == size_of(core):
        return pred[0]
    if tuple(pred.shape[2:]) != size_of(read):
        raise ModelError(
            f"The prediction of block {block.index} has {in_words(pred.shape[2:])} voxels where "
            f"{in_words(size_of(core))} are wanted: use an inferer that returns the core of a block, or all of what it "
            "is given."
        )
    return pred[0][(slice(None), *within(core, read))]


def check_limits(limits: Limits | None, dtype: np.dtype) -> None:
    """Refuse a range of greys of which an output of type ``dtype`` can hold none.

    Args:
        limits: the greys of -1 and 1; None for predictions that are written as they are.
        dtype: of the output.

    Raises:
        DataError: every prediction in [-1, 1] would be clipped to the same grey.
    """
    black, white = _ends(limits, dtype)
    if limits is not None and (white <= -1 or black >= 1):
        raise DataError(
            f"The result has greys from {limits[0]:g} to {limits[1]:g}, none of which {dtype} can hold: pass an "
            "--output_dtype that does, such as uint16 or float32, or another grey range."
        )


def greys_of(pred: torch.Tensor, limits: Limits | None, dtype: np.dtype) -> tuple[np.ndarray, int]:
    """Return a prediction (C, *spatial) as greys of a type, and how many of them are clipped to its ends.

    Args:
        pred: on the CPU.
        limits: the greys of -1 and 1; None for the prediction as it is.
        dtype: of the greys.

    Raises:
        NumericalError: the prediction holds NaN or infinite values.
    """
    greys, clipped, (black, white) = np.empty(pred.shape, dtype), 0, _ends(limits, dtype)
    for slab in _slabs(pred):
        greys[slab] = (pred[slab] if limits is None else unscale_grey(pred[slab], *limits, dtype)).numpy()
        clipped += int(((pred[slab] < black) | (pred[slab] > white)).sum())
    return greys, clipped


def classes_of(pred: torch.Tensor, dtype: np.dtype) -> np.ndarray:
    """Return the numbers (1, *spatial) of the greatest of logits (C, *spatial) on the CPU.

    Raises:
        NumericalError: the prediction holds NaN or infinite values.
    """
    classes = np.empty((1, *pred.shape[1:]), dtype)
    for slab in _slabs(pred):
        classes[slab] = pred[slab].argmax(0, keepdim=True).numpy()
    return classes


def uncertainty_of(pred: torch.Tensor, dtype: np.dtype) -> np.ndarray:
    """Return the uncertainty (1, *spatial) of logits (C, *spatial) on the CPU: 0 to 1, or all of an integer type.

    Raises:
        NumericalError: the prediction holds NaN or infinite values.
        DataError: there is a single channel.
    """
    values, full = np.empty((1, *pred.shape[1:]), dtype), np.iinfo(dtype).max if dtype.kind in "ui" else 1
    for slab in _slabs(pred):
        values[slab] = unscale_grey(2 * uncertainty(pred[slab]) - 1, 0, full, dtype).numpy()
    return values


def _slabs(pred: torch.Tensor) -> Iterator[tuple[slice, slice]]:
    """Yield parts that stay in the cache: a block as doubles would take more memory than the network."""
    step = max(1, _SLAB // math.prod(pred.shape[2:]))
    for start in range(0, pred.shape[1], step):
        slab = (slice(None), slice(start, start + step))
        if not torch.isfinite(pred[slab]).all():
            raise NumericalError("The network predicts NaN or infinite values: check its weights, or run without amp.")
        yield slab


def _ends(limits: Limits | None, dtype: np.dtype) -> Limits:
    """Return the predictions beyond which values are clipped, which floats never are."""
    if limits is None or dtype.kind not in "ui":
        return -math.inf, math.inf
    (low, high), info = limits, np.iinfo(dtype)
    black, white = ((end - low) / (high - low) * 2 - 1 for end in (info.min - 0.5, info.max + 0.5))
    return black, white
