from __future__ import annotations

import pytest
import torch
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks import VGGDiscriminator


def count(*arguments, **options) -> int:
    """Return the number of parameters of a network of the published size, without memory for them."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in VGGDiscriminator(*arguments, **options).parameters())


def test_has_as_many_parameters_as_the_published_code():
    assert count(padding=False, image_size=192) == 47_157_313
    # Padded, 12 x 12 instead of 9 x 9 voxels of 512 channels meet the first dense layer; averaged, one.
    assert count(image_size=192) == 47_157_313 + (12**2 - 9**2) * 512 * 1024
    assert count() == 47_157_313 - (9**2 - 1) * 512 * 1024


def test_dense_layers_see_the_voxels_that_are_left_of_a_volume():
    # 64 voxels a side, halved four times.
    assert count(3, channels=8, dense=16, image_size=64) - count(3, channels=8, dense=16) == (4**3 - 1) * 64 * 16


class PlainVGG(nn.Sequential):
    """The paper's layers in their order, in plain torch."""

    def __init__(self, side: int | None, padding: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(1, 2, 3, 1, padding), nn.LeakyReLU(0.2)]
        for inside, outside, stride in [(2, 2, 2), (2, 4, 1), (4, 4, 2), (4, 8, 1), (8, 8, 2), (8, 16, 1), (16, 16, 2)]:
            layers += nn.Conv2d(inside, outside, 3, stride, padding), nn.BatchNorm2d(outside), nn.LeakyReLU(0.2)
        pool = nn.AdaptiveAvgPool2d(1) if side is None else nn.Identity()
        dense = nn.Linear(16 * (side or 1) ** 2, 5)
        super().__init__(*layers, pool, nn.Flatten(), dense, nn.LeakyReLU(0.2), nn.Linear(5, 1))


@pytest.mark.parametrize(
    ("options", "side"),
    # Without padding 67 voxels become 65, 32, 30, 14, 12, 5, 3 and 1.
    [({}, None), ({"image_size": 40}, 3), ({"image_size": 67, "padding": False}, 1)],
)
def test_equals_the_paper_written_in_plain_layers(options, side):
    torch.manual_seed(0)
    network, plain = VGGDiscriminator(channels=2, dense=5, **options), PlainVGG(side, int(options.get("padding", True)))
    for weight in network.parameters():
        nn.init.normal_(weight, 0, 0.3)
    plain.load_state_dict(dict(zip(plain.state_dict(), network.state_dict().values(), strict=True)))
    images = torch.rand(3, 1, *[options.get("image_size", 37)] * 2)
    expected = plain(images)
    assert expected.std() > 1e-3
    torch.testing.assert_close(network(images), expected)
    torch.testing.assert_close(torch.jit.script(network.eval())(images), plain.eval()(images))


@pytest.mark.parametrize("shape", [(2, 2, 16, 40), (2, 2, 33, 16), (1, 2, 50, 50)])
def test_judges_images_of_any_size(shape):
    assert VGGDiscriminator(2, 2, channels=1, dense=2)(torch.rand(shape)).shape == (shape[0], 1)


@pytest.mark.parametrize("norm", [None, "instance"])
def test_a_critic_judges_each_image_by_itself(norm):
    torch.manual_seed(0)
    network, images = VGGDiscriminator(3, channels=2, dense=3, norm=norm), torch.rand(2, 1, 24, 32, 40)
    logits = network(images)
    assert (logits[0] - logits[1]).abs() > 1e-4
    torch.testing.assert_close(logits[1:], network(images[1:]))


@pytest.mark.parametrize(("padding", "least"), [(True, 16), (False, 61)])
def test_refuses_exactly_the_images_that_are_too_small(padding, least):
    network = VGGDiscriminator(channels=1, dense=2, padding=padding)
    assert network.features(torch.rand(2, 1, least, least)).shape == (2, 8, 1, 1)
    with pytest.raises(UsageError, match=f"{least} voxels a side or more, found {least} x {least - 1}: use larger"):
        network(torch.rand(2, 1, least, least - 1))
    with pytest.raises(UsageError, match=f"{least} voxels a side or more, found image_size={least - 1}:"):
        VGGDiscriminator(padding=padding, image_size=least - 1)


@pytest.mark.parametrize("sides", [(32, 48), (48, 48)])
def test_refuses_another_size_than_its_own(sides):
    network = VGGDiscriminator(channels=1, dense=2, image_size=32)
    assert network(torch.rand(2, 1, 32, 32)).shape == (2, 1)
    with pytest.raises(UsageError, match=f"images of 32 voxels a side, found {sides[0]} x {sides[1]}: use such"):
        network(torch.rand(2, 1, *sides))
