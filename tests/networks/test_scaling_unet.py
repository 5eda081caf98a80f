from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks import ScalingUNet
from tests.inferers.networks import randomised

PUBLISHED = [
    # scale, coarser, parameters, sides are multiples of, output side of 32 voxels
    (1, False, 707_137, 4, 32),
    (1, True, 707_137, 4, 32),
    (2, False, 1_011_361, 4, 64),
    (2, True, 3_721_281, 8, 16),
    (4, False, 1_149_697, 2, 128),
    (4, True, 3_721_281, 16, 8),
]


@pytest.mark.parametrize(("scale", "coarser", "parameters", "multiple", "side"), PUBLISHED)
def test_has_the_parameters_and_shapes_of_the_published_code(scale, coarser, parameters, multiple, side):
    # Counted without memory for them, or time to draw them.
    with torch.device("meta"):
        network = ScalingUNet(scale=scale, coarser=coarser)
        assert network(torch.rand(1, 1, 32, 32, 32)).shape == (1, 1, side, side, side)
    assert sum(weight.numel() for weight in network.parameters()) == parameters
    assert network.multiple == multiple


@pytest.mark.parametrize(("norm", "expected"), [(None, True), ("instance", True), ("batch", False)])
def test_only_batch_norm_replaces_the_biases(norm, expected):
    network = ScalingUNet(width=2, scale=4, norm=norm)
    inner = [
        layer
        for layer in network.modules()
        if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d) and layer is not network.tail
    ]
    assert {layer.bias is not None for layer in inner} == {expected}
    assert sum(isinstance(layer, nn.BatchNorm3d | nn.InstanceNorm3d) for layer in network.modules()) == (
        len(inner) if norm else 0
    )
    assert network.tail.bias is not None


def test_weights_start_as_published():
    torch.manual_seed(0)
    for layer in ScalingUNet(2, width=16, scale=2, coarser=True).modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert not layer.bias.any()
            if layer.weight.numel() > 4000:
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("scale", [1, 2, 4])
@torch.no_grad()
def test_details_go_past_the_coarsest_grid(scale):
    network = randomised(ScalingUNet(2, width=4, scale=scale))
    one, other = torch.rand(2, 1, 1, 16, 16)
    whole = network(one)
    network.coarsest[-3].weight.zero_()  # the transposed convolution on the way up from it
    assert not torch.allclose(network(one), network(other))
    assert not torch.allclose(network(one), whole)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("scale", "coarser"), [(1, False), (2, False), (4, False), (2, True), (4, True)])
@torch.no_grad()
def test_residual_network_that_has_learnt_nothing_resamples_its_input(dims, scale, coarser):
    network = ScalingUNet(dims, width=2, scale=scale, coarser=coarser, residual=True)
    network.tail.weight.zero_()
    image = torch.rand(1, 1, *(32,) * dims)
    if coarser:
        expected = F.interpolate(image, scale_factor=1 / scale, mode="area")
    else:
        expected = F.interpolate(image, scale_factor=scale, mode="bicubic" if dims == 2 else "trilinear")
    torch.testing.assert_close(network(image), expected)


@torch.no_grad()
def test_output_is_unbounded():
    network = ScalingUNet(2, width=2)
    network.tail.bias.fill_(-7.0)
    assert network(torch.rand(1, 1, 8, 8)).mean() < -5


@pytest.mark.parametrize(
    ("scale", "coarser", "sides", "named"),
    [
        (1, False, (8, 10), "multiples of 4 voxels from 8 on, found 8 x 10:"),
        (1, False, (4, 8), "multiples of 4 voxels from 8 on, found 4 x 8:"),
        (4, False, (2, 4), "multiples of 2 voxels from 4 on, found 2 x 4:"),
        (2, True, (20, 16), "multiples of 8 voxels from 16 on, found 20 x 16:"),
        (4, True, (16, 32), "multiples of 16 voxels from 32 on, found 16 x 32:"),
    ],
)
def test_refuses_an_image_that_cannot_be_halved_so_often(scale, coarser, sides, named):
    with pytest.raises(UsageError, match=named):
        ScalingUNet(2, width=2, scale=scale, coarser=coarser)(torch.rand(1, 1, *sides))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"scale": 3}, "scale 1, 2 or 4, found 3"),
        ({"scale": 8, "coarser": True}, "scale 1, 2 or 4, found 8"),
        ({"width": 5}, "must be even, found 5: use 6"),
        (
            {"residual": True, "out_channels": 2},
            "needs final=null and equal channels; found .* 1 channels in and 2 out",
        ),
    ],
)
def test_refuses_what_has_no_network(options, named):
    with pytest.raises(UsageError, match=named):
        ScalingUNet(**options)
