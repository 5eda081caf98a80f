"""Randomness as a pure function of where one is in a training, never of what was drawn before.

A generator's state depends on everything that used it; a key depends only on its parts. Patch 1234 of seed 0 is the
same patch for any number of workers, on any rank, and after any number of restarts.
"""

from __future__ import annotations

import numpy as np
import torch


def keyed_seed(*key: int) -> int:
    """Return a 32-bit seed that depends on every part of ``key`` and on nothing else.

    Args:
        *key: non-negative integers, for instance ``(seed, draw)`` or ``(seed, iteration, rank)``.
    """
    return int(np.random.SeedSequence(key).generate_state(1)[0])


def seed_torch(*key: int) -> None:
    """Seed the random numbers of torch, on the CPU and on every accelerator, from ``key``."""
    torch.manual_seed(keyed_seed(*key))
