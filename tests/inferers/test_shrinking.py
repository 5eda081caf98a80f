"""Blocks against the forward pass of the untouched network over the whole image."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from monai.networks.blocks import SubpixelUpsample
from monai.networks.nets import BasicUNet
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rockmonai.inferers import Orthogonal, Slicewise, Symmetrised, Tiling, footprint
from rockmonai.inferers.executors import fastest, padding, shrinking
from rockmonai.inferers.pieces import Piece, TooSmall, UnknownLayer
from rockmonai.networks import (
    GammaFilter,
    LinearFilter,
    ResNetGenerator,
    ScalingUNet,
    SelfGuided,
    SemSR,
    StackedUNets,
    UNet,
    UNetGenerator,
)
from rockmonai.networks.layers import pixel_shuffle
from tests.inferers.networks import (
    by_blocks,
    distance,
    image,
    layers,
    randomised,
    segresnet,
    srresnet,
    tiling,
    unet,
)

# Of the standard deviation: sums in another order; measured, up to 9e-6.
ROUNDING = 2e-5


class Reused(nn.Module):
    """The same layers twice, a residual in place, a product, a difference and a factor."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)
        self.activation, self.bound = nn.ReLU(), nn.Sigmoid()

    def forward(self, x):
        y = self.activation(self.norm(self.convolution(x)))
        y += x
        z = self.convolution(self.activation(y))
        return 0.5 * (z - y) * self.bound(z) + (z + z) + 1.0


def transposed(dims, kernel, stride, pad, extra, **arguments):
    kind = nn.ConvTranspose2d if dims == 2 else nn.ConvTranspose3d
    return lambda: kind(2, 2, kernel, stride, pad, extra, **arguments)


def convolved(dims, inside=1, outside=2, kernel=3, **arguments):
    kind = nn.Conv2d if dims == 2 else nn.Conv3d
    return lambda: kind(inside, outside, kernel, **({"padding": kernel // 2} | arguments))


IN_2D = {
    "stepwise_2": srresnet(scale=2, norm="batch"),
    "stepwise_4": srresnet(scale=4, norm="batch", blocks=2),
    "stepwise_wide_ends": srresnet(scale=2, norm="batch", head_kernel=9, tail_kernel=7),
    "stepwise_thin_end": srresnet(scale=2, tail_kernel=1),
    "stepwise_8": srresnet(scale=8, width=2),
    "shuffled_4": layers(
        convolved(2, 1, 32), lambda: pixel_shuffle(2, 4), convolved(2, 2, 1, 5, padding_mode="reflect")
    ),
    "direct_1": srresnet(scale=1, upsampling="direct", norm="batch", out_channels=3),
    "direct_2": srresnet(scale=2, upsampling="direct", norm="batch"),
    "direct_3": srresnet(scale=3, upsampling="direct", norm=None),
    "direct_4": srresnet(scale=4, upsampling="direct", activation=("prelu", {"num_parameters": 4})),
    "residual_2": srresnet(scale=2, upsampling="direct", residual=True, final=None),
    "residual_3": srresnet(scale=3, upsampling="direct", residual=True, final=None, blocks=0),
    "residual_4": srresnet(scale=4, residual=True, final=None, activation="relu"),
    "semsr": layers(convolved(2, 1, 4), lambda: SemSR(width=2, kernels=(3, 5), scale=2, final=None)),
    "semsr residual": layers(
        convolved(2, 1, 4), lambda: SemSR(width=2, kernels=(3, 5), scale=2, final=None, residual=True)
    ),
    "unet": unet(),
    "unet_residual": unet(num_res_units=2),
    "unet_deep": unet(levels=3),
    "segresnet": segresnet(),
    "resnet_generator": layers(lambda: ResNetGenerator(width=2, blocks=2, dropout=0.5)),
    "unet_generator": layers(lambda: UNetGenerator(width=2, levels=3)),
    "unet_generator_deep": layers(lambda: UNetGenerator(width=1, levels=6, norm=None, dropout=0.5, final=None)),
    "scaling_unet_1": layers(lambda: ScalingUNet(2, width=2, norm="batch")),
    "scaling_unet_2": layers(lambda: ScalingUNet(2, width=2, scale=2, residual=True)),
    "scaling_unet_4": layers(lambda: ScalingUNet(2, width=2, scale=4)),
    "double_unet": layers(lambda: UNet(width=2, levels=3, dropout=0.5)),
    "double_unet_bare": layers(lambda: UNet(width=2, levels=1, norm=None)),
    "self_guided": lambda: randomised(
        SelfGuided(SemSR(width=2, kernels=(3,), scale=2), UNet(out_channels=3, width=2, levels=1))
    ),
    "stack_of_unets": lambda: randomised(StackedUNets(width=1, levels=2)),
    "mean_of_unets": lambda: randomised(StackedUNets(width=2, levels=1, combine="mean")),
    "binary_unets": lambda: randomised(StackedUNets(width=2, levels=1, combine="backbone")),
    "symmetrised": lambda: Symmetrised(randomised(UNet(width=2, levels=2))),
    "symmetrised_finer": lambda: Symmetrised(srresnet(scale=2, out_channels=2)()),
    "symmetrised_greys": lambda: Symmetrised(srresnet(scale=2)(), classes=False),
    "linear_filter": layers(LinearFilter),
    "gamma_filter": layers(lambda: GammaFilter(kernel=5)),
    "reused": lambda: randomised(Reused()),
    "max_pool": layers(convolved(2), lambda: nn.MaxPool2d(2), convolved(2, 2, 2), transposed(2, 2, 2, 0, 0)),
    "average_pool": layers(convolved(2), lambda: nn.AvgPool2d(2), transposed(2, 2, 2, 0, 0), nn.Tanh),
    "dilated": layers(
        convolved(2, padding=4, dilation=4, padding_mode="replicate"), convolved(2, 2, 1, padding="same")
    ),
    "grouped": layers(
        convolved(2, 1, 4), convolved(2, 4, 4, groups=4), lambda: nn.PReLU(4), convolved(2, 4, 2, groups=2)
    ),
    "nearest": layers(convolved(2), lambda: nn.Upsample(scale_factor=2), convolved(2, 2, 1)),
    "bilinear_2": layers(convolved(2), lambda: nn.Upsample(scale_factor=2, mode="bilinear")),
    "bilinear_3": layers(lambda: nn.Upsample(scale_factor=3, mode="bilinear"), convolved(2)),
    "bicubic_3": layers(lambda: nn.Upsample(scale_factor=(3, 2), mode="bicubic"), convolved(2)),
    "transposed_3": layers(convolved(2, stride=2), transposed(2, 3, 2, 1, 1), lambda: nn.BatchNorm2d(2), nn.ELU),
    "transposed_4": layers(convolved(2, stride=2), transposed(2, 4, 2, 1, 0), lambda: nn.BatchNorm2d(2)),
    "transposed_dilated": layers(convolved(2, stride=2), transposed(2, 3, 2, 2, 1, dilation=2)),
    "transposed_grouped": layers(
        convolved(2, stride=2), transposed(2, 2, 2, 0, 0, groups=2), lambda: nn.BatchNorm2d(2)
    ),
}
IN_3D = {
    "stepwise_2": srresnet(spatial_dims=3, scale=2, norm="batch"),
    "direct_2": srresnet(spatial_dims=3, scale=2, upsampling="direct", norm="batch"),
    "direct_3": srresnet(spatial_dims=3, scale=3, upsampling="direct", tail_kernel=5),
    "residual_2": srresnet(spatial_dims=3, scale=2, upsampling="direct", residual=True, final=None),
    "semsr": layers(
        convolved(3, 1, 3), lambda: SemSR(3, 1, 1, width=2, kernels=(3,), scale=2, final=None, depth_channels=1)
    ),
    "unet": unet(3, 2, num_res_units=1),
    "segresnet": segresnet(3),
    "resnet_generator": layers(lambda: ResNetGenerator(3, width=1, blocks=1)),
    "unet_generator": layers(lambda: UNetGenerator(3, width=2, levels=2)),
    "scaling_unet_1": layers(lambda: ScalingUNet(3, width=2, residual=True)),
    "scaling_unet_2": layers(lambda: ScalingUNet(3, width=2, scale=2, norm="batch")),
    "scaling_unet_4": layers(lambda: ScalingUNet(3, width=2, scale=4)),
    "double_unet": layers(lambda: UNet(3, width=2, levels=2)),
    "stack_of_unets": lambda: randomised(StackedUNets(3, width=1, levels=1)),
    "symmetrised": lambda: Symmetrised(randomised(UNet(3, width=2, levels=1)), 3),
    "symmetrised_slices": lambda: Slicewise(Symmetrised(randomised(UNet(width=2, levels=1))), "x"),
    "gamma_filter": layers(lambda: GammaFilter(3, kernel=3)),
    "transposed_3": layers(convolved(3, stride=2), transposed(3, 3, 2, 1, 1)),
    "slices": lambda: Slicewise(srresnet(scale=2, norm="batch")(), "y", batch=3),
    "directions": lambda: Orthogonal(srresnet(scale=1, norm="batch")(), batch=3),
    "directions_2": lambda: Orthogonal(srresnet(scale=2, upsampling="direct")(), 2, batch=3),
}


def cases():
    for dims, networks in ((2, IN_2D), (3, IN_3D)):
        for name, network in networks.items():
            yield pytest.param(dims, network, id=f"{name}-{dims}d")


def whole_for(dims, network):
    """Return an image with sides as odd as the grid of the network allows."""
    grid = max(footprint(network, dims).stride)
    return image(*(-(-side // grid) * grid for side in ((61, 47) if dims == 2 else (17, 12, 23))))


@pytest.mark.parametrize(("dims", "factory"), list(cases()))
@torch.no_grad()
def test_blocks_are_the_whole(dims, factory):
    network = factory()
    whole = whole_for(dims, network)
    expected = network(whole)
    for executor in (shrinking(network), padding(network)):
        for size in ((26, 11) if dims == 2 else (7, 9, 30), 100):
            assert distance(by_blocks(executor, whole, tiling(network, whole, size)), expected) < ROUNDING


@pytest.mark.parametrize(("dims", "factory"), list(cases()))
@torch.no_grad()
def test_piece_is_right_to_its_last_voxel(dims, factory):
    network = factory()
    seen = footprint(network, dims)
    sides = seen.frame([2 * r + 6 * s for r, s in zip(seen.reach, seen.stride, strict=True)])
    whole = image(*sides)
    expected = Piece(network(whole), (0,) * dims, tuple(n * k for n, k in zip(sides, seen.scale, strict=True)))
    for cut in (0, 1, 2):  # inside, at the first face, at the last one
        box = tuple(
            slice(0 if cut == 1 else s, n if cut == 2 else n - 2 * s) for n, s in zip(sides, seen.stride, strict=True)
        )
        part = shrinking(network)(Piece(whole[(..., *box)], tuple(b.start for b in box), sides))
        assert part.whole == expected.whole
        wanted = expected.between(part.start, part.stop).values
        assert float((part.values - wanted).abs().max() / expected.values.std()) < ROUNDING


@pytest.mark.parametrize("factory", [IN_2D["stepwise_2"], IN_2D["unet"], IN_2D["bilinear_3"]])
@torch.no_grad()
def test_blocks_of_one_voxel(factory):
    network = factory()
    whole = image(12, 8)
    pred = by_blocks(shrinking(network), whole, tiling(network, whole, 1))
    assert distance(pred, network(whole)) < ROUNDING


def middle(dims, network, halo):
    """Return an image and blocks of one voxel in its middle, at all places of a cell of the network's grid."""
    seen = footprint(network, dims)
    side = 4 * max(seen.reach) // seen.stride[0] * seen.stride[0] + 2 * seen.stride[0]
    whole = image(side, *seen.smallest[1:])
    plan = Tiling((side, *seen.smallest[1:]), 1, seen, (halo(seen), *seen.reach[1:]), (1, *seen.smallest[1:]))
    cell = side // 2 // seen.stride[0] * seen.stride[0]
    return whole, plan, plan.blocks[cell : cell + seen.stride[0]]


@pytest.mark.parametrize(
    "name",
    [
        "stepwise_4",
        "direct_2",
        "residual_3",
        "unet",
        "segresnet",
        "dilated",
        "transposed_4",
        "resnet_generator",
        "unet_generator",
        "scaling_unet_1",
        "double_unet_bare",
        "gamma_filter",
    ],
)
@torch.no_grad()
def test_reach_is_sharp(name):
    network = IN_2D[name]().double()

    def error(halo):
        whole, plan, blocks = middle(2, network, halo)
        return distance(by_blocks(padding(network), whole.double(), plan, blocks), network(whole.double()))

    assert error(lambda seen: seen.reach[0]) < 1e-13
    # Reads are widened to the grid, which may make up for less than one of its cells.
    assert error(lambda seen: seen.reach[0] - seen.stride[0]) > 1e-7


@torch.no_grad()
def test_shrinking_runs_out_of_voxels_rather_than_return_wrong_ones():
    network = IN_2D["direct_2"]()
    whole, plan, blocks = middle(2, network, lambda seen: seen.reach[0] - 1)
    with pytest.raises((TooSmall, RuntimeError), match=r"too small|Kernel size"):
        by_blocks(shrinking(network), whole, plan, blocks)


@torch.no_grad()
def test_grid_of_the_network_matters():
    network = IN_2D["unet"]()
    whole = image(64, 64)
    plan = tiling(network, whole, 16)
    for executor in (padding(network), shrinking(network)):
        assert distance(by_blocks(executor, whole, replace(plan, size=(15, 15))), network(whole)) < ROUNDING
    inner = slice(plan.halo[0] + 2, 50 - plan.halo[0])
    astray, aligned = (network(whole[..., start : start + 52, :])[..., inner, :] for start in (2, 4))
    for start, moved in ((2, astray), (4, aligned)):
        error = distance(moved, network(whole)[..., inner.start + start : inner.stop + start, :])
        assert (error > 0.1) == (start == 2)


@pytest.mark.parametrize("name", ["stepwise_4", "direct_2", "unet", "segresnet", "double_unet_bare"])
@torch.no_grad()
def test_shrinking_multiplies_less(name):
    network = IN_2D[name]()
    whole = image(96, 96)
    plan = tiling(network, whole, 16)
    imagined = network.to("meta")

    def multiplied(executor):
        with FlopCounterMode(display=False) as counter:
            by_blocks(executor, whole.to("meta"), plan)
        return counter.get_total_flops()

    padded = multiplied(padding(imagined))
    assert 0.1 * padded < multiplied(shrinking(imagined)) < 0.8 * padded


@torch.no_grad()
def test_image_is_not_changed():
    for name in ("reused", "residual_2", "segresnet"):
        whole = image(32, 32)
        shrinking(IN_2D[name]())(Piece(whole, (0, 0), (32, 32)))
        assert torch.equal(whole, image(32, 32))


class Odd(nn.Module):
    """A network with one layer in whose rule there is a condition."""

    def __init__(self, layer, inside=1):
        super().__init__()
        self.first, self.layer = nn.Conv2d(1, inside, 3, padding=1), layer

    def forward(self, x):
        return self.layer(self.first(x))


@pytest.mark.parametrize(
    "network",
    [
        Odd(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")),
        Odd(nn.Conv2d(1, 1, 2, padding="same")),
        Odd(nn.MaxPool2d(3, 1, 1)),
        Odd(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)),
        Odd(nn.Upsample(scale_factor=1.5)),
        Odd(nn.Upsample(size=(16, 16))),
        Odd(nn.ConvTranspose2d(1, 1, 1, 2, 0, 1)),
        UNet(width=1, levels=1, align_corners=True),
        Odd(nn.InstanceNorm2d(1)),
        Odd(SubpixelUpsample(2, 4, 1), 4),
        Odd(SubpixelUpsample(2, 4, conv_block=None), 4),
        BasicUNet(2, 1, 1, (2, 2, 2, 2, 2, 2), norm="batch"),
    ],
)
@torch.no_grad()
def test_layer_without_a_rule_is_executed_as_it_is(network, caplog):
    caplog.set_level(logging.INFO, "rockmonai")
    network, whole = network.eval(), image(16, 16)
    pred = fastest(network, whole)(Piece(whole, (0, 0), (16, 16)))
    assert torch.equal(pred.values, network(whole))
    assert "the halo of a block is computed whole in every layer" in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        "semsr",
        "unet",
        "resnet_generator",
        "unet_generator",
        "scaling_unet_2",
        "scaling_unet_4",
        "double_unet",
        "stack_of_unets",
        "binary_unets",
        "gamma_filter",
    ],
)
@torch.no_grad()
def test_known_layers_shrink(name, caplog):
    caplog.set_level(logging.INFO, "rockmonai")
    network = IN_2D[name]()
    pred = fastest(network, image(64, 64))(Piece(image(64, 64)[..., 8:], (0, 8), (64, 64)))
    assert pred.start[1] > 8
    assert not caplog.text


def test_network_that_cannot_be_traced():
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.mean() > 0 else -x

    with pytest.raises(UnknownLayer, match="Branching cannot be traced"):
        shrinking(Branching())


@pytest.mark.parametrize(
    "name", ["stepwise_4", "direct_2", "unet", "segresnet", "double_unet", "mean_of_unets", "grouped", "residual_2"]
)
@torch.no_grad()
def test_bfloat16_is_close(name):
    network, whole = IN_2D[name](), image(64, 64)
    expected, plan = network(whole), tiling(network, whole, 32)
    pred = by_blocks(shrinking(network, torch.bfloat16), whole, plan)
    assert 20 * torch.log10((expected.max() - expected.min()) / (pred - expected).square().mean().sqrt()) > 45


@torch.no_grad()
def test_image_under_a_residual_keeps_its_precision():
    network = srresnet(scale=2, upsampling="direct", residual=True, final=None)()
    network.tail[0].weight.zero_()
    network.tail[0].bias.zero_()
    whole = image(16, 16)
    pred = shrinking(network, torch.bfloat16)(Piece(whole, (0, 0), (16, 16))).values
    assert torch.equal(pred, network(whole))
