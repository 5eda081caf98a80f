"""Running statistics of norms that are the same on all ranks, as the weights are."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _NormBase


@torch.no_grad()
def share_statistics(network: nn.Module) -> None:
    """Replace the running means and variances of ``network`` by their averages over all ranks, if there are several.

    Each rank's batch norms follow the images that this rank sees, and DistributedDataParallel shares gradients alone:
    with ``broadcast_buffers`` it would hand out the statistics of rank 0, in the middle of a backward pass of a
    discriminator that is called several times. Running statistics are linear in those of the batches: called after
    every iteration, this makes them the running averages over the batches of all ranks.

    Args:
        network: the same on all ranks but for its statistics, on this rank's device; bare or wrapped.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    statistics = [
        statistic
        for layer in network.modules()
        if isinstance(layer, _NormBase)
        for statistic in (layer.running_mean, layer.running_var)
        if statistic is not None
    ]
    if not statistics:
        return
    # One message for all of them.
    together = torch.cat(statistics)
    dist.all_reduce(together)
    together /= dist.get_world_size()
    for statistic, average in zip(statistics, together.split([len(one) for one in statistics]), strict=True):
        statistic.copy_(average)
