from __future__ import annotations

import pytest
import torch
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.inferers import footprint
from rockmonai.inferers.executors import padding, shrinking
from rockmonai.networks import SemSR, renamed_weights
from tests.inferers.networks import by_blocks, distance, image, randomised, tiling


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def full(**options) -> SemSR:
    """Return a network of the published width, without memory for its weights."""
    with torch.device("meta"):
        return SemSR(**({"semantic_channels": 1} | options))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 7_267_927),
        ({"scale": 2}, 7_120_470),
        ({"norm": "instance"}, 7_269_015),
        ({"legacy_stage5": True}, 7_267_927),
        ({"depth_channels": 1}, 11_902_369),
    ],
)
def test_has_as_many_parameters_as_the_published_code(options, expected):
    assert count(full(**options)) == expected


def test_each_part_has_as_many_parameters_as_published():
    network = full()
    assert [[count(stage.image) for stage in network.stages], [count(stage.semantic) for stage in network.stages]] == [
        [37_442, 204_802, 401_410, 663_554, 991_234],
        [
            37_441 + 36_993 + 36_992,
            204_801 + 102_529 + 102_528,
            401_409 + 200_833 + 200_832,
            663_553 + 331_905 + 331_904,
            991_233 + 495_745 + 495_744,
        ],
    ]
    assert (count(network.body), count(network.upsample) + count(network.tail)) == (36_992, 298_051)


@pytest.mark.parametrize(("legacy", "expected"), [(False, 7_267_927), (True, 5_285_460)])
def test_weights_that_learn(legacy, expected):
    network = full(legacy_stage5=legacy)
    network(torch.rand(1, 2, 8, 8, device="meta")).sum().backward()
    assert sum(weight.numel() for weight in network.parameters() if weight.grad is not None) == expected


class PlainStage(nn.Module):
    """Stage by stage the layers of the image, of a class map and of a depth map, in plain torch."""

    def __init__(self, kernel, width, inside):
        super().__init__()

        def mirrored(channels):
            return nn.ReflectionPad2d(kernel // 2), nn.Conv2d(channels, width, kernel, bias=False)

        grey, *maps = inside
        self.image = nn.Sequential(*mirrored(grey), nn.PReLU(), *mirrored(width), nn.PReLU())
        self.maps = nn.ModuleList()
        for channels in maps:
            read = nn.Sequential(*mirrored(channels), nn.PReLU(), *mirrored(width))
            first = nn.Sequential(*mirrored(width), nn.BatchNorm2d(width), nn.PReLU(), nn.Dropout(0.5))
            self.maps.append(nn.ModuleList([read, first, nn.Sequential(*mirrored(width), nn.BatchNorm2d(width))]))


class PlainSemSR(nn.Module):
    """The equations of the published networks; each stage reads its inputs with the layers of its ``source``."""

    def __init__(self, kernels, inside, source, width=4):
        super().__init__()
        self.source, later = source, [width] * len(inside)
        self.stages = nn.ModuleList(PlainStage(k, width, later if n else inside) for n, k in enumerate(kernels))
        end = (nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width))
        step = (nn.Conv2d(width, 4 * width, 3, padding=1, bias=False), nn.PixelShuffle(2), nn.PReLU())
        self.tail = nn.Sequential(*end, *step, nn.ReflectionPad2d(3), nn.Conv2d(width, 1, 7), nn.Tanh())

    def forward(self, a, *maps):
        for stage, source in zip(self.stages, self.source, strict=True):
            reader = self.stages[source]
            a, maps = reader.image(a), [own[0](x) for own, x in zip(reader.maps, maps, strict=True)]
            b = maps[0]
            m = stage.maps[0][1](b * a + b)
            added = stage.maps[0][2](b * m + b)
            if len(maps) == 2:
                d = stage.maps[1][1](maps[1] * a + maps[1])
                added = (added + stage.maps[1][2](d * m + d)) / 2
            a = a + added
        return self.tail(a)


@pytest.mark.parametrize(
    ("options", "source"),
    [
        ({}, (0, 1, 2, 3, 4)),
        ({"legacy_stage5": True}, (0, 1, 2, 3, 1)),
        ({"kernels": (3, 5), "depth_channels": 2}, (0, 1)),
    ],
)
@torch.no_grad()
def test_equals_the_published_equations_in_plain_layers(options, source):
    network = SemSR(width=4, scale=2, dropout=0.5, **options).eval()
    inside = [channels for channels in network.channels if channels]
    plain = randomised(PlainSemSR((3, 5, 7, 9, 11)[: len(source)], inside, source))
    plain.tail[-2].weight /= 10  # else tanh would hide what the stages make
    network.load_state_dict(renamed_weights(plain.state_dict(), network))
    parts = [image(12, 11, channels=channels) for channels in inside]
    expected = plain(*parts)
    assert expected.abs().median() < 0.9
    torch.testing.assert_close(network(*parts), expected, rtol=1e-4, atol=1e-5)
    packed = torch.cat(parts, 1)
    for scripted in (network, torch.jit.script(network)):
        torch.testing.assert_close(scripted(packed), scripted(*parts))


@pytest.mark.parametrize(
    ("options", "reach"),
    [
        # Half of the kernels 3, 5, 7, 9 and 11 four times, twice to read and twice modulated; 1 for the end of the body
        # and 3 for what follows, on finer grids but for the first convolution.
        ({}, 4 * (1 + 2 + 3 + 4 + 5) + 1 + 3),
        ({"scale": 2}, 64),
        ({"depth_channels": 1}, 64),
        # Half of the reading by a kernel of 11 is done by one of 5.
        ({"legacy_stage5": True}, 64 - 2 * (5 - 2)),
    ],
)
def test_reach_is_the_sum_of_all_kernels(options, reach):
    network = SemSR(width=1, **options)
    found = footprint(network, 2, sum(network.channels))
    assert (found.reach, found.stride, found.smallest) == ((reach,) * 2, (1, 1), (6, 6))


@pytest.mark.parametrize(
    ("dims", "options"),
    [
        (2, {"kernels": (3, 5, 7, 9, 11)}),
        (2, {"kernels": (3, 5, 3, 3, 5), "legacy_stage5": True}),
        (3, {"kernels": (3, 5), "depth_channels": 1, "scale": 2}),
    ],
)
@torch.no_grad()
def test_blocks_are_the_whole(dims, options):
    network = randomised(SemSR(dims, width=2, final=None, **options)).double()
    whole = image(*((190, 30) if dims == 2 else (54, 12, 11)), channels=sum(network.channels)).double()
    expected = network(whole)
    plan = tiling(network, whole, (37, 30) if dims == 2 else 12)
    for executor in (shrinking(network), padding(network)):
        assert distance(by_blocks(executor, whole, plan), expected) < 1e-12


@torch.no_grad()
def test_every_input_matters():
    network = randomised(SemSR(width=3, kernels=(3, 5), depth_channels=1, final=None))
    given = image(12, 12, channels=5)
    for channel in range(5):
        changed = given.clone()
        changed[:, channel, 6, 6] += 1
        assert not torch.equal(network(changed), network(given))


def test_refuses_what_it_cannot_be():
    for options, words in [
        ({"scale": 3}, "cannot reach scale 3 by doubling: choose 1, 2, 4 or 8"),
        ({"scale": 0}, "scale 0"),
        ({"kernels": (3, 4)}, "odd kernel, found 4: use 5"),
        ({"kernels": (3, 5), "legacy_stage5": True}, "5 kernels and no depth, found 2 and 0 channels"),
        ({"depth_channels": 1, "legacy_stage5": True}, "found 5 and 1 channels"),
    ]:
        with pytest.raises(UsageError, match=words):
            SemSR(width=1, **options)


@pytest.mark.parametrize("channels", [(1,), (5,), (1, 1), (1, 3, 1), (4, 3)])
def test_refuses_other_maps_than_its_own(channels):
    with pytest.raises(UsageError, match=rf"1 channels of the image, 3 .* found {sum(channels)} altogether"):
        SemSR(width=1)(*(image(8, 8, channels=each) for each in channels))


def test_a_residual_network_begins_near_the_interpolated_image():
    network, coarse = SemSR(width=2, kernels=(3,), scale=2, final=None, residual=True), image(8, 7)
    nn.init.zeros_(network.tail[0].weight)
    pred = network(coarse, image(8, 7, channels=3))
    torch.testing.assert_close(pred, nn.functional.interpolate(coarse, scale_factor=2, mode="bicubic"))
    with pytest.raises(UsageError, match="A residual SemSR adds"):
        SemSR(residual=True)
