"""MONAI's sliding window, on images smaller than the window as well, in any precision."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import torch
from monai.inferers import SlidingWindowInferer
from monai.utils import ensure_tuple_rep

from rockmonai.engines.precision import amp_dtype, autocast


class SlidingWindow(SlidingWindowInferer):
    """Applies a network window by window, under autocast, and returns float32.

    MONAI's own pads an image that is smaller than the window with zeros, mid-grey in [-1, 1], and the network sees
    them: this one makes the window smaller. MONAI's evaluators know autocast for CUDA alone: this one has it anywhere.

    Args:
        roi_size: window, in voxels of the input, one number or one per axis.
        amp: False, True, ``"bf16"`` or ``"fp16"`` (see :func:`rockmonai.engines.amp_dtype`).
        **kwargs: as in :class:`monai.inferers.SlidingWindowInferer`: ``overlap``, ``mode``, ``sw_batch_size``...
    """

    def __init__(self, roi_size: int | tuple[int, ...], amp: bool | str = False, **kwargs: Any) -> None:
        super().__init__(roi_size, **kwargs)
        self.amp = amp

    def __call__(self, inputs: torch.Tensor, network: Callable, *args: Any, **kwargs: Any) -> torch.Tensor:  # type: ignore[override]
        """Return ``network`` applied to ``inputs`` (B, C, *spatial), in float32."""
        size = inputs.shape[2:]
        fitting = copy(self)
        fitting.roi_size = tuple(map(min, ensure_tuple_rep(self.roi_size, len(size)), size))
        with autocast(amp_dtype(self.amp, inputs.device), inputs.device):
            pred = SlidingWindowInferer.__call__(fitting, inputs, network, *args, **kwargs)
        assert isinstance(pred, torch.Tensor), "a network with several outputs needs MONAI's own SlidingWindowInferer"
        return pred.float()
