from __future__ import annotations

import numpy as np
import pytest
import torch

from rockmonai.inferers import SlidingWindow
from rockmonai.networks import Repair, ResNetGenerator, SRResNet, UNetGenerator
from tests.inferers.networks import randomised, unet


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SRResNet(width=4, blocks=1, scale=2, norm=None, upsampling="direct", head_kernel=3, tail_kernel=3).eval()


@pytest.mark.parametrize("size", [(20, 30), (16, 40), (7, 9)])
def test_image_smaller_than_the_window_gives_what_the_network_gives(network, size):
    image = torch.rand(1, 1, *size) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(SlidingWindow(64)(image, network), network(image))


COARSE = {
    "U-Net": (32, lambda: UNetGenerator(width=2, levels=5)),
    "ResNet": (4, lambda: ResNetGenerator(width=2, blocks=1)),
    "repair": (8, lambda: Repair(UNetGenerator(in_channels=3, width=2, levels=3))),
}


@pytest.mark.parametrize(("multiple", "build"), COARSE.values(), ids=COARSE)
@torch.no_grad()
def test_image_smaller_than_the_window_is_mirrored_to_what_the_network_accepts(multiple, build):
    network = randomised(build())
    image = torch.rand(1, 3 if isinstance(network, Repair) else 1, 50, 13) * 2 - 1
    framed = np.pad(image, [(0, 0), (0, 0), *((0, -n % multiple) for n in (50, 13))], "symmetric")
    expected = network(torch.from_numpy(framed))[..., :50, :13]
    torch.testing.assert_close(SlidingWindow(128)(image, network), expected)


@torch.no_grad()
def test_image_that_is_smaller_along_one_axis_only():
    network = randomised(UNetGenerator(width=2, levels=5))
    assert SlidingWindow(128)(torch.rand(1, 1, 100, 300), network).shape == (1, 1, 100, 300)
    assert SlidingWindow((64, -1))(torch.rand(1, 1, 100, 30), network).shape == (1, 1, 100, 30)


@torch.no_grad()
def test_a_network_that_does_not_say_what_it_accepts_sees_the_window():
    network, image = unet(levels=3)(), torch.rand(1, 1, 7, 40)
    framed = torch.from_numpy(np.pad(image, [(0, 0), (0, 0), (0, 25), (0, 0)], "symmetric"))
    torch.testing.assert_close(SlidingWindow((32, 40))(image, network), network(framed)[..., :7, :])


@torch.no_grad()
def test_the_finer_output_of_a_mirrored_image_is_cropped(network):
    image = torch.rand(1, 1, 7, 9)
    network.multiple = 4
    framed = torch.from_numpy(np.pad(image, [(0, 0), (0, 0), (0, 1), (0, 3)], "symmetric"))
    torch.testing.assert_close(SlidingWindow(64)(image, network), network(framed)[..., :14, :18])


def test_a_larger_image_is_covered_by_windows(network):
    image = torch.rand(1, 1, 40, 50)
    with torch.no_grad():
        windows = SlidingWindow(16, overlap=0.5, mode="gaussian")(image, network)
        whole = network(image)
    assert windows.shape == whole.shape
    assert (windows - whole)[..., 20:60, 20:80].abs().mean() < 0.05 * whole.std()


def test_bf16_on_the_cpu_is_close_and_comes_back_as_float32(network):
    image = torch.rand(1, 1, 24, 24)
    with torch.no_grad():
        mixed = SlidingWindow(64, amp="bf16")(image, network)
        plain = network(image)
    assert mixed.dtype == torch.float32
    assert 0 < (mixed - plain).abs().max() < 0.05
