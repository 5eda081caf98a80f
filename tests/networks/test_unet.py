from __future__ import annotations

import pytest
import torch
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks import UNet
from tests.inferers.networks import randomised


@pytest.mark.parametrize(
    ("channels", "classes", "expected"), [(3, 1, 17_267_393), (3, 4, 17_267_588), (8, 4, 17_270_468)]
)
def test_has_as_many_parameters_as_the_published_code(channels, classes, expected):
    # Counted without memory for them, or time to draw them.
    with torch.device("meta"):
        network = UNet(in_channels=channels, out_channels=classes)
    assert sum(weight.numel() for weight in network.parameters()) == expected


@pytest.mark.parametrize("norm", ["batch", "instance", None])
def test_all_convolutions_have_a_bias(norm):
    network = UNet(width=2, norm=norm)
    assert all(layer.bias is not None for layer in network.modules() if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize(("dropout", "expected"), [(0.0, []), (0.3, [0.3])])
def test_drops_out_on_the_coarsest_grid_alone(dropout, expected):
    sides = []
    network = UNet(width=2, levels=3, dropout=dropout)
    found = [layer for layer in network.modules() if isinstance(layer, nn.Dropout)]
    assert [layer.p for layer in found] == expected
    for layer in found:
        layer.register_forward_hook(lambda _, given, made: sides.append(tuple(given[0].shape[2:])))
    network(torch.rand(1, 1, 32, 48))
    assert sides == [(4, 6)] * len(expected)


@torch.no_grad()
def test_details_go_past_the_deeper_levels():
    network = randomised(UNet(width=4, levels=3))
    one, other = torch.rand(2, 1, 1, 16, 16)
    whole = network(one)
    for layer in network.down.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.zero_()
    assert not torch.equal(network(one), network(other))
    assert not torch.equal(network(one), whole)


@torch.no_grad()
def test_logits_are_unbounded():
    network = UNet(width=2, levels=1)
    nn.init.constant_(network.tail.bias, -7.0)
    assert network(torch.rand(1, 1, 8, 8)).mean() < -5


@pytest.mark.parametrize("align_corners", [False, True])
@torch.no_grad()
def test_aligned_corners_make_the_output_depend_on_the_size_of_the_image(align_corners):
    network = randomised(UNet(width=8, levels=1, align_corners=align_corners))
    image = torch.rand(1, 1, 64, 64)
    inner = (..., slice(0, 16), slice(0, 16))  # farther from the cut than the network reaches
    expected = network(image)[inner]
    error = (network(image[..., :32, :32])[inner] - expected).abs().max() / expected.std()
    assert error > 1e-2 if align_corners else error < 1e-5


@pytest.mark.parametrize("dims", [2, 3])
@torch.no_grad()
def test_half_precision_with_channels_last_is_close(dims):
    torch.manual_seed(0)
    network, image = UNet(dims, width=8, levels=2).eval(), torch.rand(1, 1, *(16, 16, 8)[:dims])
    expected = network(image)
    layout = torch.channels_last if dims == 2 else torch.channels_last_3d
    network, image = network.to(memory_format=layout), image.to(memory_format=layout)
    torch.testing.assert_close(network(image), expected, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(image)
    assert 0 < (found.float() - expected).abs().max() < 0.1 * expected.std() + 0.02


@pytest.mark.parametrize(("levels", "sides"), [(3, (16, 12)), (4, (688, 1000))])
def test_refuses_an_image_that_cannot_be_halved_so_often(levels, sides):
    with pytest.raises(UsageError, match=rf"multiples of {2**levels} voxels, found {sides[0]} x {sides[1]}:"):
        UNet(width=1, levels=levels)(torch.rand(1, 1, *sides))


def test_refuses_no_level():
    with pytest.raises(UsageError, match="1 level or more, found 0"):
        UNet(levels=0)
