"""Which precision a forward pass runs in, on any kind of device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from rockmonai.errors import UsageError


def amp_dtype(amp: bool | str, device: torch.device) -> torch.dtype | None:
    """Return the dtype that autocast uses on ``device``, or None for plain float32.

    Args:
        amp: False (float32), ``"bf16"``, ``"fp16"``, or True: bf16 where the device computes with it, else fp16 on
            a GPU and float32 on a CPU.
        device: where the network runs.

    Raises:
        UsageError: if ``amp`` is none of these.
    """
    if amp is False or amp is None:
        return None
    if amp is True and device.type == "cpu":
        return torch.bfloat16 if torch.backends.cpu.get_cpu_capability().startswith(("AVX512", "SVE")) else None
    if amp is True:
        bf16 = device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if bf16 else torch.float16
    if amp in ("bf16", "fp16"):
        return torch.bfloat16 if amp == "bf16" else torch.float16
    raise UsageError(f"amp is {amp!r}; use false, true, 'bf16' or 'fp16'.")


def full_products() -> AbstractContextManager:
    """Return the context in which a GPU multiplies float32 as such, not with the 10 bits of TF32."""
    cudnn = torch.backends.cudnn
    return cudnn.flags(cudnn.enabled, cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False)


def autocast(dtype: torch.dtype | None, device: torch.device) -> AbstractContextManager:
    """Return the context in which ``device`` computes in ``dtype``; it does nothing when ``dtype`` is None."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)
