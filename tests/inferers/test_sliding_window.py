from __future__ import annotations

import pytest
import torch

from rockmonai.inferers import SlidingWindow
from rockmonai.networks import SRResNet


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SRResNet(width=4, blocks=1, scale=2, norm=None, upsampling="direct", head_kernel=3, tail_kernel=3).eval()


@pytest.mark.parametrize("size", [(20, 30), (16, 40), (7, 9)])
def test_image_smaller_than_the_window_gives_what_the_network_gives(network, size):
    image = torch.rand(1, 1, *size) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(SlidingWindow(64)(image, network), network(image))


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
