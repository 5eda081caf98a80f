from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from rockmonai.inferers.rewriting import rewritten
from rockmonai.inferers.subpixel import SubpixelConvolution
from rockmonai.networks.layers import pixel_shuffle
from tests.inferers.networks import distance, image, layers, randomised, segresnet, srresnet, unet


def kinds(network):
    return [type(network.get_submodule(node.target)) for node in network.graph.nodes if node.op == "call_module"]


@pytest.mark.parametrize(
    ("dims", "factory"),
    [
        (2, srresnet(norm="batch", blocks=2)),
        (2, srresnet(scale=2, out_channels=3, tail_kernel=3, activation="relu")),
        (2, srresnet(scale=8, tail_kernel=7)),
        (2, unet(num_res_units=2)),
        (2, segresnet()),
        (3, srresnet(spatial_dims=3, scale=2, norm="batch")),
        (3, srresnet(spatial_dims=3, scale=4)),
        (3, unet(3)),
    ],
)
@torch.no_grad()
def test_rewritten_network_is_the_same_function(dims, factory):
    network = factory()
    whole = image(*(24, 16, 16)[:dims])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    expected = network(whole)
    assert distance(rewritten(network)(whole.clone()), expected) < 2e-5
    assert torch.equal(network(whole), expected)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_norms_vanish_and_the_tail_comes_before_the_shuffle():
    traced = rewritten(srresnet(norm="batch", blocks=2)())
    found = kinds(traced)
    assert not any(issubclass(kind, _BatchNorm) for kind in found)
    assert found.count(SubpixelConvolution) == 1
    assert [kind for kind in found if kind is not nn.Identity][-2:] == [SubpixelConvolution, nn.Tanh]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("kernel", "factor"), [(3, 2), (3, 3), (5, 4), (5, 5)])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
@torch.no_grad()
def test_convolution_before_the_shuffle(dims, kernel, factor, padding_mode):
    convolution = nn.Conv2d if dims == 2 else nn.Conv3d
    fine = convolution(2, 3, kernel, padding=kernel // 2, padding_mode=padding_mode)
    shuffle = pixel_shuffle(dims, factor)
    features = image(*(4, 5, 6)[:dims], channels=2 * factor**dims)
    assert SubpixelConvolution.replaces(fine, factor)
    assert distance(SubpixelConvolution(fine, factor)(features), fine(shuffle(features))) < 1e-5


@pytest.mark.parametrize(
    "tail",
    [
        lambda: nn.Conv2d(2, 8, 3, padding=1),
        lambda: nn.Conv2d(2, 1, 5, padding=2),
        lambda: nn.Conv2d(2, 1, 1),
        lambda: nn.Conv2d(2, 1, 3, padding=1, stride=2),
        lambda: nn.Conv2d(2, 1, 3, padding=1, padding_mode="replicate"),
        lambda: nn.Conv2d(2, 2, 3, padding=1, groups=2),
        lambda: nn.Conv2d(2, 1, 3),
        lambda: nn.Conv2d(2, 1, 3, padding="same"),
        lambda: nn.Sequential(nn.PReLU(2), nn.Conv2d(2, 1, 3, padding=1)),
    ],
)
@torch.no_grad()
def test_tail_that_stays_where_it_is(tail):
    network = layers(lambda: nn.Conv2d(1, 8, 3, padding=1), lambda: pixel_shuffle(2, 2), tail)()
    traced = rewritten(network)
    assert SubpixelConvolution not in kinds(traced)
    assert distance(traced(image(8, 8)), network(image(8, 8))) < 1e-5


class Shared(nn.Module):
    """A convolution with two norms, an activation of a tensor that is read again, a sum with itself."""

    def __init__(self):
        super().__init__()
        self.convolution, self.relu = nn.Conv2d(2, 2, 3, padding=1), nn.ReLU()
        self.one, self.two, self.three = (nn.BatchNorm2d(2) for _ in range(3))

    def forward(self, x):
        x = self.three(self.two(self.convolution(self.one(self.convolution(x)))))
        y = self.relu(x)
        return (y + x) + self.relu(y + y) + 1.0


@torch.no_grad()
def test_layers_that_are_used_twice_stay():
    network, whole = randomised(Shared()), image(8, 8, channels=2)
    expected = network(whole)
    assert distance(rewritten(network)(whole), expected) < 1e-5


class Overwritten(nn.Module):
    """An activation in place of a tensor that is read again, after a sum."""

    def __init__(self):
        super().__init__()
        self.pool, self.relu = nn.AvgPool2d(2), nn.ReLU(inplace=True)

    def forward(self, x):
        pooled = self.pool(x)
        active = self.relu(pooled)
        return (active + x[..., ::2, ::2]) * 2.0 + pooled


@torch.no_grad()
def test_what_is_read_again_is_not_overwritten():
    network = randomised(Overwritten())
    assert distance(rewritten(network)(image(8, 8)), network(image(8, 8))) < 1e-5


class Guided(nn.Module):
    """A network that takes what guides it by itself, or else from the channels of the image."""

    def forward(self, x, guide=None):
        return x[:, :1] * (x[:, 1:] if guide is None else guide)


@torch.no_grad()
def test_network_of_several_inputs_is_traced_with_one():
    whole = image(8, 8, channels=2)
    traced = rewritten(Guided())
    assert len(traced.graph.find_nodes(op="placeholder")) == 1
    assert torch.equal(traced(whole), whole[:, :1] * whole[:, 1:])
