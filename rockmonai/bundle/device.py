"""The device that a bundle runs on when nobody says which."""

from __future__ import annotations

import os

import torch


def device() -> torch.device:
    """Return the accelerator of this process (of its local rank under torchrun), or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
