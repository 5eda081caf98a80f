from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rockmonai.errors import UsageError
from rockmonai.networks import SRResNet


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"width": 256, "scale": 4}, 15_968_269),
        ({"width": 256, "scale": 2}, 13_608_972),
        ({"width": 64, "scale": 4}, 1_006_093),
        ({"width": 256, "scale": 4, "blocks": 6}, 12_426_250),
    ],
)
def test_has_as_many_parameters_as_the_published_code(options, expected):
    assert sum(weight.numel() for weight in SRResNet(**options).parameters()) == expected


class PlainBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x):
        return x + self.layers(x)


class PlainSRResNet(nn.Module):
    """The paper's layers in their order, in plain torch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(1, width, 9, bias=False), nn.PReLU())
        self.body = nn.Sequential(
            PlainBlock(width),
            PlainBlock(width),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3, bias=False),
            nn.BatchNorm2d(width),
        )
        step = (nn.Conv2d(width, 4 * width, 3, padding=1, bias=False), nn.PixelShuffle(2), nn.PReLU())
        self.tail = nn.Sequential(*step, nn.ReflectionPad2d(3), nn.Conv2d(width, 1, 7), nn.Tanh())

    def forward(self, x):
        x = self.head(x)
        return self.tail(x + self.body(x))


def test_equals_the_paper_written_in_plain_layers():
    torch.manual_seed(0)
    network, plain = SRResNet(width=4, blocks=2, scale=2, init="kaiming"), PlainSRResNet(4)
    weights = list(network.state_dict().values())
    plain.load_state_dict(dict(zip(plain.state_dict(), weights, strict=True)))
    image = torch.rand(2, 1, 11, 13)
    torch.testing.assert_close(network(image), plain(image))


def test_direct_upsampling_puts_each_channel_on_its_own_fine_voxel_in_3d():
    torch.manual_seed(0)
    network = SRResNet(3, width=2, blocks=1, scale=3, upsampling="direct", head_kernel=3, tail_kernel=3, final=None)
    coarse = []
    network.tail[0].register_forward_hook(lambda *call: coarse.append(call[2]))
    fine = network(torch.rand(1, 1, 3, 4, 5))
    for z, y, x in [(0, 0, 1), (0, 1, 0), (1, 0, 0), (2, 1, 2)]:
        assert torch.equal(fine[0, 0, z::3, y::3, x::3], coarse[0][0, 9 * z + 3 * y + x])


@pytest.mark.parametrize(("dims", "mode"), [(2, "bicubic"), (3, "trilinear")])
def test_a_silent_residual_network_interpolates(dims, mode):
    network = SRResNet(dims, width=2, blocks=1, scale=2, final=None, residual=True, head_kernel=3)
    nn.init.zeros_(network.tail[0].weight)
    image = torch.rand(1, 1, *(5, 6, 7)[:dims])
    torch.testing.assert_close(network(image), F.interpolate(image, scale_factor=2, mode=mode))


def test_one_slope_is_shared_by_all_channels_of_a_layer():
    slopes = [layer.weight.numel() for layer in SRResNet(width=8).modules() if isinstance(layer, nn.PReLU)]
    assert slopes == [1] * 12  # the head, nine blocks, two steps


@pytest.mark.parametrize(("norm", "expected"), [("batch", False), ("instance", True), (None, True)])
def test_only_batch_norm_replaces_the_biases(norm, expected):
    *inner, last = (layer for layer in SRResNet(norm=norm, width=2).modules() if isinstance(layer, nn.Conv2d))
    assert {layer.bias is not None for layer in inner} == {expected}
    assert last.bias is not None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 3}, "cannot reach scale 3 by doubling.*upsampling='direct'"),
        ({"scale": 0}, "scale 0"),
        ({"upsampling": "one"}, "'stepwise' or 'direct', not 'one'"),
        ({"residual": True}, "final=null.*found final='tanh'"),
        ({"residual": True, "final": None, "out_channels": 2}, "1 channels in and 2 out"),
        ({"head_kernel": 8}, "odd kernel, found 8: use 9"),
    ],
)
def test_refuses_what_it_cannot_be(options, words):
    with pytest.raises(UsageError, match=words):
        SRResNet(width=2, blocks=1, **options)
