from __future__ import annotations

import pytest
import torch
from monai.networks.nets import BasicUNet, SegResNet, UNet
from torch import nn

from rockmonai.errors import ModelError
from rockmonai.inferers import Slicewise, footprint
from rockmonai.networks import (
    GammaFilter,
    LinearFilter,
    ResNetGenerator,
    ScalingUNet,
    SRResNet,
    StackedUNets,
    UNetGenerator,
)
from rockmonai.networks import UNet as DoubleUNet
from tests.inferers.networks import layers, srresnet, unet


@pytest.mark.parametrize(
    ("arguments", "reach"),
    [
        # Two 3-kernels a block and four more: head, end of the body, tail, and the first doubling, on the coarse grid;
        # what is on the fine grid reaches a fraction of a voxel.
        ({"blocks": 4, "scale": 1}, 11),
        ({"blocks": 4, "scale": 2, "upsampling": "direct"}, 11),
        ({"blocks": 4}, 12),
        ({"blocks": 8}, 20),
        ({"blocks": 16}, 36),
        ({"blocks": 9, "head_kernel": 9, "tail_kernel": 7, "norm": "batch"}, 26),
    ],
)
def test_reach_of_srresnet_is_the_sum_of_its_kernels(arguments, reach):
    found = footprint(srresnet(**{"width": 2, "norm": None} | arguments)(), 2)
    scale = arguments.get("scale", 4)
    assert (found.reach, found.stride, found.scale) == ((reach, reach), (1, 1), (scale, scale))


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_unet_lies_on_a_grid(levels):
    found = footprint(unet(levels=levels)(), 2)
    assert found.stride == found.smallest == (2**levels,) * 2
    assert (found.scale, found.channels) == ((1, 1), 2)


@pytest.mark.parametrize("levels", [2, 3, 5, 7, 8])
def test_pix2pix_unet_lies_on_a_grid(levels):
    # A kernel of 4 with stride 2 begins one voxel before its cell; back up, it reaches one voxel beyond: 3 cells of
    # 1, 2, 4, ... voxels.
    found = footprint(layers(lambda: UNetGenerator(width=1, levels=levels))(), 2)
    cell = 2**levels
    assert (found.reach, found.stride, found.smallest) == ((3 * (cell - 1),) * 2, (cell,) * 2, (cell,) * 2)


@pytest.mark.parametrize(("dims", "levels"), [(2, 1), (2, 2), (2, 4), (3, 2)])
def test_unet_of_double_convolutions_lies_on_a_grid(dims, levels):
    # Four 3-kernels on each grid and two on the coarsest, 4 * (1 + 2 + ... + cell / 2) + 2 * cell, and an interpolation
    # that reads one neighbour on each coarse grid, 2 + 4 + ... + cell.
    found = footprint(layers(lambda: DoubleUNet(dims, width=1, levels=levels))(), dims)
    cell = 2**levels
    assert (found.reach, found.stride, found.smallest) == ((8 * cell - 6,) * dims, (cell,) * dims, (cell,) * dims)


def read_by_unet(first, last, levels):
    """Return the ends of what a U-Net reads for voxels from ``first`` to ``last``, layer by layer."""
    for _ in range(levels):
        first, last = (first - 3) // 2, (last + 3) // 2
    first, last = first - 2, last + 2
    for _ in range(levels):
        first, last = 2 * first - 2, 2 * last + 3
    return first, last


@pytest.mark.parametrize("levels", [1, 3])
def test_stacking_network_reads_what_its_members_read(levels):
    found = footprint(layers(lambda: StackedUNets(width=1, levels=levels))(), 2)
    ends = [(here, *read_by_unet(*read_by_unet(here, here, levels), levels)) for here in range(2**levels)]
    reach = max(max(here - first, last - here) for here, first, last in ends)
    assert (found.reach, found.stride, found.channels) == ((reach,) * 2, (2**levels,) * 2, 4)


def read_by_scaling_unet(first, last, scale):
    """Return the ends of what a scaling U-Net reads for voxels from ``first`` to ``last``, layer by layer."""
    if scale == 1:
        first, last = first - 1, last + 1
    for _ in range(2 if scale == 1 else 3):  # a transposed convolution, and a convolution before it
        first, last = first // 2 - 1, (last + 1) // 2 + 1
    for halves in (True, scale < 4):
        first, last = (2 * first, 2 * last + 1) if halves else (first, last)
        first, last = first - 1, last + 1
    return first, last


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("scale", "stride"), [(1, 4), (2, 4), (4, 2)])
def test_scaling_unet_lies_on_a_grid(dims, residual, scale, stride):
    found = footprint(ScalingUNet(dims, width=2, scale=scale, residual=residual), dims)
    ends = [(here // scale, *read_by_scaling_unet(here, here, scale)) for here in range(scale * stride)]
    reach = max(max(here - first, last - here) for here, first, last in ends)
    assert (found.reach, found.stride, found.scale) == ((reach,) * dims, (stride,) * dims, (scale,) * dims)


@pytest.mark.parametrize(("dims", "scale"), [(2, 4), (3, 2)])
def test_network_whose_output_is_coarser_is_refused_before_it_is_given_large_images(dims, scale):
    network, sides = ScalingUNet(dims, width=2, scale=scale, coarser=True), []
    network.register_forward_pre_hook(lambda _, given: sides.append(given[0].shape[-1]))
    with pytest.raises(ModelError, match=r"cannot be applied block by block \(its output is coarser than its input\)"):
        footprint(network, dims)
    assert max(sides) == 4 * network.multiple


@pytest.mark.parametrize(("dims", "blocks"), [(2, 1), (2, 9), (3, 1)])
def test_resnet_generator_lies_on_a_grid_of_four(dims, blocks):
    # Two 3-kernels a block on cells of 4 voxels; 3 at each end; 1 + 2 down, 1 + 2 up.
    found = footprint(layers(lambda: ResNetGenerator(dims, width=1, blocks=blocks))(), dims)
    assert (found.reach, found.stride) == ((8 * blocks + 12,) * dims, (4,) * dims)


@pytest.mark.parametrize("network", [LinearFilter, GammaFilter])
def test_filters_see_their_kernel(network):
    assert footprint(network(kernel=15), 2).reach == (7, 7)


def test_basic_unet_of_the_literature():
    # Two 3-kernels on each of 5 levels down and 4 up: 4 * (1 + 2 + 4 + 8) + 2 * 16 = 92, and the widest place of a cell
    # of 16 voxels is 15 farther.
    assert footprint(BasicUNet(2, 1, 1, (2, 2, 2, 2, 2, 2), norm="batch"), 2).reach == (107, 107)


@pytest.mark.parametrize("norm", ["instance", ("group", {"num_groups": 1})])
def test_what_measures_its_image_looks_at_everything(norm):
    for network in (
        UNet(2, 1, 1, (4, 8), (2,), norm=norm),
        SRResNet(width=2, blocks=1, norm=norm),
        ResNetGenerator(width=2, blocks=1, norm=norm),
        UNetGenerator(width=2, levels=3, norm=norm),
    ):
        found = footprint(network, 2)
        assert found.reach == (None, None)
        assert not found.finite


def test_global_pooling_looks_at_everything():
    class Attention(nn.Module):
        def forward(self, x):
            return x * x.mean((2, 3), keepdim=True)

    assert footprint(Attention(), 2).reach == (None, None)


def test_result_that_depends_on_the_size_of_the_image_is_not_local():
    # Aligned corners: the fine grid of a longer image lies elsewhere, though each of its voxels sees two neighbours.
    aligned = layers(lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True))()
    assert footprint(aligned, 2).reach == (None, None)
    assert footprint(layers(lambda: nn.Upsample(scale_factor=2, mode="bilinear"))(), 2).reach == (1, 1)
    # Before it is trained, what a deep network interpolates hardly shows in its output.
    torch.manual_seed(0)
    assert footprint(DoubleUNet(width=2, levels=3, align_corners=True), 2).reach == (None, None)


def test_grid_of_a_narrow_branch_beside_a_wide_one():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.pool, self.up = nn.Conv2d(1, 1, 9, padding=4), nn.AvgPool2d(2), nn.Upsample(scale_factor=2)

        def forward(self, x):
            return self.wide(x) + self.up(self.pool(x))

    found = footprint(Branches(), 2)
    assert (found.reach, found.stride) == ((4, 4), (2, 2))


def test_voxels_that_are_skipped():
    assert footprint(layers(lambda: nn.Conv2d(1, 1, 1, 2), lambda: nn.Upsample(scale_factor=2))(), 2).stride == (2, 2)


def test_axes_differ():
    found = footprint(Slicewise(srresnet(scale=2, upsampling="direct")(), "y"), 3)
    assert (found.reach, found.scale) == ((5, 0, 5), (2, 1, 2))
    stretched = layers(lambda: nn.Conv3d(2, 3, (1, 3, 7), padding=(0, 1, 3)))()
    assert footprint(stretched, 3, in_channels=2).reach == (0, 1, 3)


@pytest.mark.parametrize(("axis", "smallest"), [("z", (1, 4, 4)), ("y", (4, 1, 4)), ("x", (4, 4, 1))])
def test_a_single_slice_is_a_volume_for_a_network_of_slices(axis, smallest):
    assert footprint(Slicewise(DoubleUNet(width=2, levels=2), axis), 3).smallest == smallest


def test_seg_res_net_in_3d():
    found = footprint(SegResNet(3, 8, out_channels=2, norm="batch"), 3)
    assert (found.reach, found.stride, found.channels) == ((126,) * 3, (8,) * 3, 2)


def test_holes_of_a_dilated_kernel():
    # As in atrous pyramids: nothing between the voxel itself and the one 24 * 4 farther is read.
    sparse = layers(
        lambda: nn.AvgPool2d(4),
        lambda: nn.Conv2d(1, 1, 3, padding=24, dilation=24),
        lambda: nn.Upsample(scale_factor=4),
    )
    found = footprint(sparse(), 2)
    assert (found.reach, found.stride) == ((99, 99), (4, 4))


def test_reach_beyond_the_longest_is_everything():
    far = layers(lambda: nn.Conv2d(1, 1, (1, 3), padding=(0, 3000), dilation=(1, 3000)))()
    assert not footprint(far, 2).finite


def test_network_stays_as_it_was():
    network = srresnet()().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    footprint(network, 2)
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    "network",
    [
        nn.Conv2d(1, 1, 3),
        nn.Sequential(nn.Conv2d(1, 1, 3, 2, 1), nn.Flatten(2)),
        nn.Conv2d(1, 1, 3, 2, 1),
        nn.Conv3d(1, 1, 3, padding=1),
        nn.LSTM(1, 1),
    ],
)
def test_network_that_cannot_be_cut(network):
    with pytest.raises(ModelError, match="cannot be applied block by block"):
        footprint(network, 2)
