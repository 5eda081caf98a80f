from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rockmonai.errors import UsageError
from rockmonai.inferers import footprint
from rockmonai.inferers.executors import padding, shrinking
from rockmonai.networks import EDSR
from tests.inferers.networks import by_blocks, distance, image, randomised, tiling

UPSAMPLINGS = ("stepwise", "direct", "nearest")


def count(*arguments, **options) -> int:
    """Return the number of parameters of a network of the published size, without memory for them."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in EDSR(*arguments, **options).parameters())


def test_has_as_many_parameters_as_the_published_code():
    assert count(tail_kernel=1) == 1_514_753
    assert count(tail_kernel=1, blocks=1, activation="prelu") == 406_916
    one_slope_a_channel = ("prelu", {"num_parameters": 64})
    assert count(3, upsampling="nearest", activation=one_slope_a_channel) == 3_877_633


def test_cost_is_in_the_blocks():
    # Weights and biases of 3-kernels: head, two a block, the end of the body, and 16 voxels at once.
    head, inner, tail = 9 * 32 + 32, 9 * 32 * 32 + 32, 9 * 32 * 16 + 16
    assert count(width=32, blocks=8, upsampling="direct") == head + 17 * inner + tail == 162_160
    # Half the channels between the blocks pay for twice as many inside.
    wide = 9 * 16 * 64 + 64 + 9 * 64 * 16 + 16
    narrow = count(width=16, blocks=8, expansion=4) - count(width=16, blocks=0, expansion=4)
    assert narrow == 8 * wide < 16 * inner + 8 * 32


class PlainEDSR(nn.Module):
    """Two blocks as in the papers, in plain torch; ``upsampling`` makes of them the image."""

    def __init__(self, width: int, inside: int, factor: float, upsampling: list[nn.Module]) -> None:
        super().__init__()
        self.factor = factor
        self.head = mirrored(1, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(mirrored(width, inside), nn.PReLU(), mirrored(inside, width)) for _ in range(2)
        )
        self.end = mirrored(width, width)
        self.upsampling = nn.Sequential(*upsampling)

    def forward(self, x):
        first = y = self.head(x)
        for block in self.blocks:
            y = y + self.factor * block(y)
        return self.upsampling(first + self.end(y))


def mirrored(inside: int, outside: int) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, 3, padding=1, padding_mode="reflect")


def repeated(factor: int) -> nn.Upsample:
    return nn.Upsample(scale_factor=factor, mode="nearest")


@pytest.mark.parametrize(
    ("options", "factor", "upsampling"),
    [
        ({"upsampling": "direct", "scale": 3}, 1, [mirrored(4, 9), nn.PixelShuffle(3)]),
        (
            {"upsampling": "stepwise", "scale": 6, "residual_scale": 0.1, "final": "tanh"},
            0.1,
            [
                *(mirrored(4, 16), nn.PixelShuffle(2), nn.PReLU()),
                *(mirrored(4, 36), nn.PixelShuffle(3), nn.PReLU()),
                *(mirrored(4, 1), nn.Tanh()),
            ],
        ),
        (
            {"upsampling": "nearest", "scale": 10, "expansion": 3},
            1,
            [
                *(mirrored(4, 4), nn.PReLU(), repeated(2)),
                *(mirrored(4, 4), nn.PReLU(), repeated(5)),
                mirrored(4, 1),
            ],
        ),
    ],
)
@torch.no_grad()
def test_equals_the_papers_written_in_plain_layers(options, factor, upsampling):
    network = randomised(EDSR(width=4, blocks=2, activation="prelu", **options))
    plain = PlainEDSR(4, 4 * options.get("expansion", 1), factor, upsampling)
    plain.load_state_dict(dict(zip(plain.state_dict(), network.state_dict().values(), strict=True)))
    coarse = image(6, 5)
    torch.testing.assert_close(network(coarse), plain(coarse))


@pytest.mark.parametrize("dims", [2, 3])
@torch.no_grad()
def test_a_silent_residual_network_interpolates(dims):
    network = EDSR(dims, width=2, blocks=1, scale=3, residual=True)
    nn.init.zeros_(network.tail[0].weight)
    coarse, mode = image(5, 4, 6)[..., 0] if dims == 2 else image(5, 4, 6), {2: "bicubic", 3: "trilinear"}[dims]
    torch.testing.assert_close(network(coarse), F.interpolate(coarse, scale_factor=3, mode=mode))


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize(("dims", "scale"), [(2, 2), (2, 3), (2, 4), (2, 8), (3, 2), (3, 3)])
def test_reach_is_the_sum_of_its_kernels(dims, scale, upsampling):
    # Head, two kernels a block, end of the body and one for all that is on finer grids; a first step is on the coarse.
    found = footprint(EDSR(dims, width=1, blocks=4, scale=scale, upsampling=upsampling, residual=True), dims)
    reach = 1 + 2 * 4 + 1 + 1 + (upsampling != "direct")
    assert (found.reach, found.stride, found.scale) == ((reach,) * dims, (1,) * dims, (scale,) * dims)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize(("dims", "scale"), [(dims, scale) for dims in (2, 3) for scale in (2, 3, 4, 8)])
@torch.no_grad()
def test_blocks_are_the_whole(dims, scale, upsampling):
    options = {"width": 2, "blocks": 1, "scale": scale, "upsampling": upsampling, "expansion": 2}
    network = randomised(EDSR(dims, residual_scale=0.5, residual=True, **options)).double()
    whole = image(*((45, 30) if dims == 2 else (20, 4, 3))).double()
    expected = network(whole)
    plan = tiling(network, whole, (17, 30) if dims == 2 else (7, 4, 3))
    for executor in (shrinking(network), padding(network)):
        assert distance(by_blocks(executor, whole, plan), expected) < 1e-12


@pytest.mark.parametrize(
    ("options", "side"),
    [({}, 2), ({"upsampling": "direct", "tail_kernel": 9}, 5), ({"upsampling": "stepwise", "tail_kernel": 9}, 2)],
)
@torch.no_grad()
def test_a_side_too_short_to_be_mirrored_is_refused(options, side):
    network = EDSR(width=2, blocks=1, scale=4, **options)
    assert network(image(side, 7)).shape[2:] == (4 * side, 28)
    with pytest.raises(UsageError, match=f"{side} voxels a side or more .* found {side - 1} x 7"):
        network(image(side - 1, 7))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 5}, "cannot reach scale 5 by steps of 2 and 3.*upsampling='direct'"),
        ({"scale": 0, "upsampling": "direct"}, "scale 0"),
        ({"upsampling": "nearst"}, r"stepwise, direct, nearest, not 'nearst' \(did you mean 'nearest'\?\)"),
        ({"residual": True, "final": "tanh"}, "A residual EDSR .* final=null .* found final='tanh'"),
        ({"residual": True, "out_channels": 2}, "1 channels in and 2 out"),
        ({"tail_kernel": 2}, "odd kernel, found 2: use 3"),
    ],
)
def test_refuses_what_it_cannot_be(options, words):
    with pytest.raises(UsageError, match=words):
        EDSR(width=2, blocks=1, **options)
