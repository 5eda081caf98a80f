from __future__ import annotations

import pytest
import torch
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks import UNetGenerator


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"levels": 7}, 41_822_849),
        ({"levels": 8}, 54_407_809),
        ({"levels": 8, "in_channels": 3}, 54_409_857),
        ({"levels": 7, "norm": "instance"}, 41_819_521),
        ({"levels": 8, "norm": "instance"}, 54_403_457),
    ],
)
def test_has_as_many_parameters_as_the_published_code(options, expected):
    # Counted without memory for them, or time to draw them.
    with torch.device("meta"):
        assert sum(weight.numel() for weight in UNetGenerator(**options).parameters()) == expected


@pytest.mark.parametrize(("norm", "expected"), [("batch", False), ("instance", True), (None, True)])
def test_only_batch_norm_replaces_the_biases(norm, expected):
    kinds = nn.Conv2d | nn.ConvTranspose2d
    *inner, last = (layer for layer in UNetGenerator(norm=norm, width=2).modules() if isinstance(layer, kinds))
    assert {layer.bias is not None for layer in inner} == {expected}
    assert last.bias is not None


@pytest.mark.parametrize(("levels", "expected"), [(8, 13), (2, 1)])
def test_first_level_and_deepest_way_down_have_no_norm(levels, expected):
    network = UNetGenerator(width=1, levels=levels)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules()) == expected


@pytest.mark.parametrize(("levels", "expected"), [(8, 3), (7, 2), (5, 0), (3, 0)])
def test_drops_out_between_the_widest_levels_alone(levels, expected):
    network = UNetGenerator(width=1, levels=levels, dropout=0.5)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.5] * expected
    assert not any(isinstance(layer, nn.Dropout) for layer in UNetGenerator(width=1, levels=levels).modules())


def test_weights_start_as_asked():
    torch.manual_seed(0)
    weight = UNetGenerator(3, in_channels=4, width=16, levels=2, init="xavier", init_gain=0.5).down.weight
    assert weight.std().item() == pytest.approx(0.5 * (2 / (64 * (4 + 16))) ** 0.5, rel=0.05)


def test_details_go_past_the_deeper_levels():
    network = UNetGenerator(width=2, levels=3, norm=None, init="kaiming").eval()
    image = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        expected = network(image)
        network.below.submodule[-3].weight[:] = 0  # the way up from all deeper levels
        network.below.submodule[-3].bias[:] = 0
        assert not torch.equal(network(image), network(torch.rand(1, 1, 16, 16)))
        assert not torch.equal(network(image), expected)


def test_without_a_final_activation_the_output_is_unbounded():
    network = UNetGenerator(width=2, levels=2, final=None)
    nn.init.constant_(network.up[1].bias, 7.0)
    assert network(torch.rand(1, 1, 8, 8)).mean() > 1


@pytest.mark.parametrize(("levels", "sides"), [(3, (16, 12)), (8, (128, 256))])
def test_refuses_an_image_that_cannot_be_halved_so_often(levels, sides):
    with pytest.raises(UsageError, match=rf"multiples of {2**levels} voxels, found {sides[0]} x {sides[1]}:"):
        UNetGenerator(width=1, levels=levels)(torch.rand(1, 1, *sides))


def test_refuses_a_single_level():
    with pytest.raises(UsageError, match="2 levels or more, found 1"):
        UNetGenerator(levels=1)
