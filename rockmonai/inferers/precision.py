"""Any MONAI inferer, in the precision that suits the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer, SimpleInferer

from rockmonai.engines.precision import amp_dtype, autocast


class PrecisionInferer(Inferer):
    """Runs another inferer under autocast, on the CPU as well, and returns float32.

    MONAI's evaluators know autocast for CUDA alone.

    Args:
        inferer: what applies the network, a :class:`monai.inferers.SimpleInferer` by default.
        amp: False, True, ``"bf16"`` or ``"fp16"`` (see :func:`rockmonai.engines.amp_dtype`).
    """

    def __init__(self, inferer: Inferer | None = None, amp: bool | str = False) -> None:
        super().__init__()
        self.inferer = SimpleInferer() if inferer is None else inferer
        self.amp = amp

    def __call__(self, inputs: torch.Tensor, network: Callable, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return ``network`` applied to ``inputs`` (B, C, *spatial), in float32."""
        device = inputs.device
        with autocast(amp_dtype(self.amp, device), device):
            return self.inferer(inputs, network, *args, **kwargs).float()
