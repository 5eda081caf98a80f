"""The other processes that torchrun started: joining them at the start, leaving them at the end."""

from __future__ import annotations

import torch
import torch.distributed as dist

from rockmonai.bundle.device import device


def join_ranks() -> None:
    """Join the other ranks: over NCCL where there are GPUs, each rank on its own, and over Gloo elsewhere."""
    if torch.cuda.is_available():
        torch.cuda.set_device(device())
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def leave_ranks() -> None:
    """Leave the other ranks when all have done their work: none may close the line while another still listens."""
    dist.barrier()
    dist.destroy_process_group()
