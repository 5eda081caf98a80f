"""The other processes that torchrun started: joining them at the start, leaving them at the end."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from datetime import timedelta

import torch
import torch.distributed as dist

from rockmonai.bundle.device import device

# Ranks wait for each other at the end of a volume, whose blocks may take one of them hours longer than another. A rank
# that dies is noticed by torchrun, not by waiting.
_PATIENCE = timedelta(days=7)


def join_ranks() -> None:
    """Join the other ranks: tensors of GPUs, of which each rank has its own, over NCCL, all others over Gloo."""
    if torch.cuda.is_available():
        torch.cuda.set_device(device())
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
    atexit.register(_end)


def leave_ranks() -> None:
    """Leave the other ranks, if any, when all have done their work: none may close the line while another listens."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def _end() -> None:
    """End a process that has left its ranks before Python takes itself apart.

    DistributedDataParallel keeps Gloo's threads alive, and one that lets go of its last tensor while the interpreter
    shuts down aborts the process ("terminate called without an active exception") after all work was done.
    """
    if not dist.is_initialized():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
