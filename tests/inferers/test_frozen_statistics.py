from __future__ import annotations

import weakref
from copy import deepcopy

import pytest
import torch
from monai.networks import nets
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from rockmonai.errors import NumericalError, UsageError
from rockmonai.inferers.frozen_statistics import freeze_statistics, measures_its_input

NETWORKS = {
    "BasicUNet 2D": (2, lambda: nets.BasicUNet(2, features=(4, 4, 8, 8, 8, 4))),
    "BasicUNet 3D": (3, lambda: nets.BasicUNet(3, features=(4, 4, 8, 8, 8, 4))),
    "UNet 2D": (2, lambda: nets.UNet(2, 1, 1, (4, 8, 16), (2, 2), num_res_units=2)),
    "UNet 3D": (3, lambda: nets.UNet(3, 1, 1, (4, 8, 16), (2, 2))),
    "SegResNet 2D, group": (2, lambda: nets.SegResNet(2, 8, 1, 1)),
    "SegResNet 3D, group": (3, lambda: nets.SegResNet(3, 8, 1, 1, blocks_down=(1, 1, 1), blocks_up=(1, 1))),
    "DynUNet 2D": (2, lambda: nets.DynUNet(2, 1, 1, (3,) * 3, (1, 2, 2), (2, 2), (4, 8, 8))),
}


def trained(network):
    """Weights of norms that differ from what they start as."""
    for name, weight in network.named_parameters():
        if weight.ndim == 1:
            nn.init.normal_(weight, float(name.endswith("weight")), 0.2)
    return network.eval()


@pytest.fixture(params=NETWORKS)
def case(request):
    torch.manual_seed(0)
    dims, build = NETWORKS[request.param]
    return trained(build()), torch.rand(1, 1, *(64, 48, 32)[-dims:]) ** 3


@torch.no_grad()
def test_frozen_on_one_image_equals_live_on_that_image(case):
    network, image = case
    frozen, live = freeze_statistics(network, [image]), network(image)
    assert measures_its_input(network) and not measures_its_input(frozen)
    assert (frozen(image) - live).abs().max() < 1e-5 * live.std()
    brighter = image + 0.5
    assert (frozen(brighter) - network(brighter)).abs().max() > 0.1 * live.std()


@torch.no_grad()
def test_the_network_stays_as_it_is_and_the_copy_keeps_its_weights(case):
    network, image = case
    network.train()
    before = deepcopy(network.state_dict())
    frozen = freeze_statistics(network, [image])
    assert network.training and not frozen.training
    assert measures_its_input(network)
    assert not any(layer._forward_pre_hooks for layer in [*network.modules(), *frozen.modules()])
    after, kept = network.state_dict(), frozen.state_dict()
    assert before.keys() == after.keys() and before.keys() <= kept.keys()
    for name, weight in before.items():
        assert torch.equal(weight, after[name]) and torch.equal(weight, kept[name])
        assert kept[name].data_ptr() != after[name].data_ptr()


def small(norm):
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 6, 3, padding=1), norm(), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), norm(), nn.ReLU()]
    return trained(nn.Sequential(*layers, nn.Conv2d(6, 1, 3, padding=1)))


NORMS = {
    "instance": lambda: nn.InstanceNorm2d(6, affine=True),
    "instance without weights": lambda: nn.InstanceNorm2d(6),
    "group": lambda: nn.GroupNorm(3, 6),
    "batch of the moment": lambda: nn.BatchNorm2d(6, track_running_stats=False),
}


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@torch.no_grad()
def test_tiles_with_a_halo_equal_the_whole_once_frozen(norm):
    network, image = small(norm), torch.rand(1, 1, 24, 60).cumsum(3) / 30
    frozen, reach = freeze_statistics(network, [image]), 3

    def tiled(net):
        return torch.cat([net(image[..., :33])[..., :30], net(image[..., 27:])[..., reach:]], 3)

    torch.testing.assert_close(tiled(frozen), frozen(image))
    assert (tiled(network) - network(image)).abs().max() > 0.1 * network(image).std()


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@torch.no_grad()
def test_several_samples_count_as_the_one_image_that_they_make_up(norm):
    """Kernels of one pixel have no borders, so that pieces of any size make up the image exactly."""
    network = small(norm)
    for i in (0, 3, 6):
        old = network[i]
        network[i] = nn.Conv2d(old.in_channels, old.out_channels, 1)
    image = torch.rand(1, 1, 20, 60).cumsum(3) / 30
    frozen = freeze_statistics(network, (piece for piece in image.split((5, 40, 15), 3)))
    torch.testing.assert_close(frozen(image), network(image), rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_fixed_statistics_are_those_of_the_voxels():
    network = nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm1d(4))
    samples = [torch.rand(1, 4, 10) * 5, torch.rand(1, 4, 30) + 7]
    frozen = freeze_statistics(network, samples)
    voxels = torch.cat(samples, 2)[0].reshape(2, -1).numpy()
    for statistic, expected in ((frozen[0].running_mean, voxels.mean(1)), (frozen[0].running_var, voxels.var(1))):
        torch.testing.assert_close(statistic, torch.as_tensor(expected).repeat_interleave(2))


@torch.no_grad()
def test_a_frozen_norm_folds_into_its_convolution():
    network, image = small(NORMS["instance"]), torch.rand(1, 1, 20, 20)
    frozen = freeze_statistics(network, [image])
    folded = fuse_conv_bn_eval(frozen[0], frozen[1])
    torch.testing.assert_close(folded(image), frozen[:2](image))


def test_a_norm_with_two_names_is_replaced_under_both():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.InstanceNorm2d(2))
    network[0].norm = network[1]
    frozen = freeze_statistics(network, [torch.rand(1, 1, 8, 8)])
    assert frozen[1] is frozen[0].norm and not measures_its_input(frozen)


def test_norms_with_statistics_of_their_own_are_left_alone():
    network = nn.Sequential(nn.InstanceNorm2d(2, track_running_stats=True), nn.BatchNorm2d(2)).train()
    assert not measures_its_input(network)
    frozen = freeze_statistics(network, [torch.rand(1, 2, 8, 8)])
    assert [type(layer) for layer in frozen] == [nn.InstanceNorm2d, nn.BatchNorm2d]
    assert frozen[0].running_mean.tolist() == [0, 0]


def test_keeps_the_features_of_no_sample():
    features = []
    network = small(NORMS["instance"])
    network[0].register_forward_hook(lambda _, given, made: features.append(weakref.ref(made)))
    alive = []
    network.register_forward_pre_hook(lambda *_: alive.append(sum(kept() is not None for kept in features)))
    freeze_statistics(network, torch.rand(3, 1, 1, 16, 16))
    assert alive == [0] * 9  # two norms, and one pass to see that none is left


def test_refuses_to_measure_nothing_or_nan():
    with pytest.raises(UsageError, match="at least one piece"):
        freeze_statistics(small(NORMS["group"]), [])
    with pytest.raises(NumericalError, match="InstanceNorm2d was given values that are not finite"):
        freeze_statistics(small(NORMS["instance"]), [torch.full((1, 1, 8, 8), torch.nan)])
