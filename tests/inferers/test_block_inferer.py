from __future__ import annotations

import logging

import pytest
import torch
from monai.data import MetaTensor
from monai.networks.nets import BasicUNet
from torch import nn

from rockmonai.errors import DataError
from rockmonai.inferers import BlockInferer, Slicewise, Symmetrised
from rockmonai.networks import GammaFilter, ResNetGenerator, StackedUNets, UNet, UNetGenerator
from tests.inferers.networks import by_blocks, distance, image, randomised, srresnet, tiling, unet


def predicted(inferer, network, whole):
    """Return the volume that the blocks make up, each handed over as a data set hands it over."""
    plan = inferer.tiling

    def execute(piece):
        block = next(b for b in plan.blocks if tuple(p.start for p in b.read) == piece.start and b.index not in done)
        done.append(block.index)
        core = inferer(MetaTensor(piece.values, meta={"block": block.index}), network)
        return type(piece)(
            core, tuple(p.start * s for p, s in zip(block.core, plan.scale, strict=True)), plan.output_shape
        )

    done: list[int] = []
    return by_blocks(execute, whole, plan)


@pytest.mark.parametrize(
    ("whole", "factory"),
    [
        (image(45, 37), srresnet(norm="batch")),
        (image(48, 36), unet()),
        (image(11, 12, 13), srresnet(spatial_dims=3, scale=2, upsampling="direct")),
        (image(11, 12, 13), lambda: Slicewise(srresnet(scale=2)(), "x")),
        (image(24, 36), lambda: randomised(ResNetGenerator(width=2, blocks=1))),
        (image(48, 80), lambda: randomised(UNetGenerator(width=2, levels=4))),
        (image(64, 48), lambda: randomised(UNet(width=2, levels=3))),
        (image(64, 48), lambda: randomised(StackedUNets(width=1, levels=2))),
        (image(48, 36), lambda: Symmetrised(randomised(UNet(width=2, levels=2)))),
        (image(45, 37), lambda: randomised(GammaFilter())),
        (image(48, 64), lambda: randomised(BasicUNet(2, 1, 1, (2, 2, 2, 2, 2, 2), norm="batch"))),
    ],
)
@pytest.mark.parametrize("size", [16, 100])
@torch.no_grad()
def test_block_by_block_equals_one_shot(whole, factory, size):
    network = factory()
    plan = tiling(network, whole, size)
    pred = predicted(BlockInferer(plan), network, whole)
    assert pred.dtype == torch.float32
    assert distance(pred, network(whole)) < 2e-5


@torch.no_grad()
def test_given_halo_that_is_no_reach_pads():
    network, whole = srresnet()(), image(40, 40)
    plan = tiling(network, whole, 20, halo=(2, 2))
    error = distance(predicted(BlockInferer(plan), network, whole), network(whole))
    assert 1e-3 < error < 10


CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
)


def limited(network, plan, most, error):
    """Return an inferer whose memory does not suffice beyond so many voxels, and what it tried."""
    inferer = BlockInferer(plan)
    inferer(MetaTensor(image(*plan.shape)[(..., *plan.blocks[0].read)], meta={"block": 0}), network)
    executor, calls = inferer._executor, []

    def execute(piece):
        calls.append(piece.values[0, 0].numel())
        if calls[-1] > most:
            raise error
        return executor(piece)

    inferer._executor = execute
    return inferer, calls


@pytest.mark.parametrize("error", [CUDA, CPU])
@pytest.mark.parametrize(
    ("factory", "sides", "most"),
    [(srresnet(), (41, 64), 900), (unet(), (48, 64), 1250), (unet(), (40, 16), 600), (srresnet(), (9, 64), 250)],
)
@torch.no_grad()
def test_halves_where_memory_does_not_suffice(error, factory, sides, most, caplog):
    whole = image(*sides)
    network = factory()
    plan = tiling(network, whole, 32)
    inferer, calls = limited(network, plan, most, error)
    assert distance(predicted(inferer, network, whole), network(whole)) < 2e-5
    refused = [n for n in calls if n > most]
    # Once it is known how much is too much, no block of that size is tried again.
    assert 0 < len(refused) <= 4
    assert caplog.text.count("out of memory: blocks of") == len(refused)


@torch.no_grad()
def test_not_even_one_cell_fits():
    network, whole = unet()(), image(16, 16)
    inferer, _ = limited(network, tiling(network, whole, 16), 0, CUDA)
    with pytest.raises(DataError, match="Not even a few voxels"):
        predicted(inferer, network, whole)


@torch.no_grad()
def test_other_errors_pass():
    network, whole = srresnet()(), image(16, 16)
    inferer, _ = limited(network, tiling(network, whole, 16), 0, RuntimeError("sizes must match"))
    with pytest.raises(RuntimeError, match="sizes must match"):
        predicted(inferer, network, whole)


@pytest.mark.parametrize("factory", [srresnet(residual=True, final=None, scale=2, upsampling="direct"), unet()])
@torch.no_grad()
def test_lower_precision_tells_how_far_it_is(factory, caplog):
    caplog.set_level(logging.INFO, "rockmonai")
    network, whole = factory(), image(40, 40)
    pred, expected = predicted(BlockInferer(tiling(network, whole, 20), "bf16"), network, whole), network(whole)
    assert 0 < distance(pred, expected) < 0.2
    assert caplog.text.count("bfloat16: ") == caplog.text.count("dB from float32 on the first block") == 1
    told = float(caplog.text.split("bfloat16: ")[1].split()[0])
    assert told == pytest.approx(float(10 * torch.log10(4 / (pred - expected).square().mean())), abs=3)


@torch.no_grad()
def test_settings_of_cudnn_stay():
    seen = []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = srresnet()()

        def forward(self, x):
            seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))
            return self.network(x)

    network, whole = Spy(), image(16, 16)
    plan = tiling(network.network, whole, 16)
    before = torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32
    BlockInferer(plan)(MetaTensor(whole, meta={"block": 0}), network)
    assert set(seen) == {(before[0], False)}
    assert (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32) == before
