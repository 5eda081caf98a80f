"""MONAI's sliding window, on images smaller than the window as well, in any precision."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import torch
from monai.inferers import SlidingWindowInferer
from monai.utils import fall_back_tuple
from torch import nn

from rockmonai.engines.precision import amp_dtype, autocast
from rockmonai.inferers.magnified import magnified


class SlidingWindow(SlidingWindowInferer):
    """Applies a network window by window, under autocast, and returns float32.

    MONAI's own pads an image that is smaller than the window with zeros, mid-grey in [-1, 1], and the network sees
    them: this one makes the window smaller. It stays what the network accepts, and the image is mirrored at its far
    faces where it is smaller still: up to a multiple of the network's attribute ``multiple``, as our networks have it;
    up to the whole window for a network that does not say. The prediction is cropped to the image.

    MONAI's evaluators know autocast for CUDA alone: this one has it anywhere.

    Args:
        roi_size: window, in voxels of the input, one number or one per axis.
        amp: False, True, ``"bf16"`` or ``"fp16"`` (see :func:`rockmonai.engines.amp_dtype`).
        **kwargs: as in :class:`monai.inferers.SlidingWindowInferer`: ``overlap``, ``mode``, ``sw_batch_size``...
    """

    def __init__(self, roi_size: int | tuple[int, ...], amp: bool | str = False, **kwargs: Any) -> None:
        super().__init__(roi_size, **kwargs)
        self.amp = amp

    def __call__(  # type: ignore[override]
        self,
        inputs: torch.Tensor,
        network: Callable,
        *args: Any,
        magnification: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return ``network`` applied to ``inputs`` (B, C, *spatial), in float32.

        Args:
            inputs: the images.
            network: applied to each window.
            *args: further arguments of the network.
            magnification: of the images, (B,), for a network that knows one pixel size (see `Magnified`); that of the
                first counts for all.
            **kwargs: further arguments of the network.
        """
        size = inputs.shape[2:]
        if magnification is not None:
            assert isinstance(network, nn.Module)
            network = magnified(network, len(size), float(magnification[0]))
        windows = fall_back_tuple(self.roi_size, size)
        multiple = getattr(network, "multiple", None)
        fitting = copy(self)
        fitting.roi_size = tuple(_fitting(n, window, multiple) for n, window in zip(size, windows, strict=True))
        framed = mirrored(inputs, fitting.roi_size)
        with autocast(amp_dtype(self.amp, inputs.device), inputs.device):
            pred = SlidingWindowInferer.__call__(fitting, framed, network, *args, **kwargs)
        assert isinstance(pred, torch.Tensor), "a network with several outputs needs MONAI's own SlidingWindowInferer"
        for axis, n in enumerate(size, 2):
            pred = pred.narrow(axis, 0, n * pred.shape[axis] // framed.shape[axis])
        return pred.float()


def mirrored(image: torch.Tensor, least: Sequence[int]) -> torch.Tensor:
    """Return ``image`` (B, C, *spatial), mirrored at its far faces, as often as it takes, to sides of ``least``."""
    for axis, (n, length) in enumerate(zip(image.shape[2:], least, strict=True), 2):
        if length > n:
            places = torch.arange(length, device=image.device) % (2 * n)
            image = image.index_select(axis, torch.minimum(places, 2 * n - 1 - places))
    return image


def _fitting(length: int, window: int, multiple: int | None) -> int:
    """Return the side of a window for an image of ``length``."""
    return window if multiple is None else math.ceil(min(length, window) / multiple) * multiple
