from __future__ import annotations

import copy

import torch
import torch.distributed as dist
from torch import nn

from rockmonai.engines.shared_statistics import share_statistics


def network() -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.InstanceNorm2d(3), nn.BatchNorm2d(3))
    network.register_buffer("constant", torch.tensor([0.1]))
    return network


def after(images: list[torch.Tensor]) -> list[dict]:
    """Return the state after each of ``images``, seen by a network in training."""
    trained, states = network(), []
    for image in images:
        trained(image)
        share_statistics(trained)
        states.append(copy.deepcopy(trained.state_dict()))
    return states


def seen_by(rank: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(rank)
    return [torch.randn(2, 1, 8, 8, generator=generator) * (rank + 1) + rank for _ in range(3)]


def _one_rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save(after(seen_by(rank)), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_ranks_share_the_average_of_what_each_would_have_alone(tmp_path):
    torch.multiprocessing.spawn(_one_rank, (str(tmp_path),), nprocs=2)
    together = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    alone = [after(seen_by(rank)) for rank in range(2)]
    for first, second, *others in zip(*together, *alone, strict=True):
        for name, value in first.items():
            assert torch.equal(value, second[name])
            torch.testing.assert_close(value, (others[0][name] + others[1][name]) / 2, check_dtype=False)
    assert not torch.allclose(alone[0][-1]["1.running_mean"], alone[1][-1]["1.running_mean"])
