from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from rockmonai.networks import GammaFilter, LinearFilter


@pytest.mark.parametrize(("network", "expected"), [(LinearFilter, 226), (GammaFilter, 227)])
def test_has_as_many_parameters_as_the_published_code(network, expected):
    assert sum(weight.numel() for weight in network().parameters()) == expected


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("network", [LinearFilter, GammaFilter])
def test_starts_as_the_identity(network, dims):
    image = torch.rand(2, 1, *(9, 8, 7)[:dims]) * 2 - 1
    torch.testing.assert_close(network(dims, kernel=5)(image), image, rtol=0, atol=3e-5)


def test_is_a_correlation_with_grey_beyond_the_border():
    network, image = LinearFilter(), torch.rand(1, 1, 20, 24) * 2 - 1
    torch.nn.init.normal_(network[0].weight)
    expected = ndimage.correlate(image[0, 0].numpy(), network[0].weight[0, 0].detach().numpy(), mode="constant")
    np.testing.assert_allclose(network(image)[0, 0].detach().numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("gamma", [0.4, 1.0, 2.2])
def test_gamma_bends_the_greys_between_black_and_white(gamma):
    network = GammaFilter()
    torch.nn.init.constant_(network[0].gamma, gamma)
    # Grey levels of an 8 bit image.
    levels = np.arange(256).reshape(1, 1, 16, 16)
    expected = 2 * (levels / 255) ** gamma - 1
    found = network(torch.from_numpy(levels / 127.5 - 1).float()).detach()
    np.testing.assert_allclose(found[..., 1:], expected[..., 1:], atol=1e-5)
    np.testing.assert_allclose(found, expected, atol=0.021)  # black itself: 2 * 0.00001 ** 0.4


@pytest.mark.parametrize("gamma", [0.3, 1.0, 3.0])
def test_gamma_learns_from_greys_at_and_below_black(gamma):
    network = GammaFilter()
    torch.nn.init.constant_(network[0].gamma, gamma)
    image = torch.tensor([-1.5, -1.0, -0.999999, -0.5, 0.0, 1.0, 1.2]).view(1, 1, 1, 7).requires_grad_()
    network(image).square().sum().backward()
    for value in (image.grad, *(weight.grad for weight in network.parameters())):
        assert value.isfinite().all()
    assert network[0].gamma.grad != 0
