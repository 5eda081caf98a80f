"""Networks on finer and coarser grids, compared with the image resampled by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rockmonai.errors import DataError
from rockmonai.inferers import Magnified, SlidingWindow, footprint, magnified, whole_steps
from rockmonai.networks import UNet
from rockmonai.transforms import magnification


@pytest.mark.parametrize(
    ("ratio", "steps"),
    [
        *((1.0, (1, 1)), (1.4, (1, 1)), (1.42, (2, 1)), (2.4, (2, 1)), (2.5, (3, 1)), (0.72, (1, 1)), (0.7, (1, 2))),
        *((4.466 / 8, (1, 2)), (13.96 / 8, (2, 1)), (0.25, (1, 4))),
    ],
)
def test_the_nearest_whole_factor_is_taken(ratio, steps):
    """Half-way between 1 and 2 is the root of 2, between 2 and 3 that of 6."""
    assert whole_steps(ratio) == steps


def test_pixels_of_known_size_are_magnified_by_the_ratio_of_the_sizes():
    assert magnification((0.004466, 0.004466), 0.008) == pytest.approx(0.55825)
    assert magnification((0.5, 0.02, 0.01), 0.005) == pytest.approx(2.0)
    assert magnification(None, 0.008) == magnification((0.1, 0.1), None) == 1.0


@pytest.mark.parametrize("spacing", [3.0, 0.0005])
def test_images_of_another_world_are_refused(spacing):
    with pytest.raises(DataError, match="pass --pixel_size null"):
        magnification((spacing, spacing), 0.008)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_reduced_image_is_the_mean_of_its_voxels(dims):
    image = torch.randn(1, 1, *(8, 12, 16)[:dims])
    pool = {2: F.avg_pool2d, 3: F.avg_pool3d}[dims]
    found = Magnified(nn.Identity(), dims, 0.5)(image)
    mode = {2: "bilinear", 3: "trilinear"}[dims]
    torch.testing.assert_close(found, F.interpolate(pool(image, 2), scale_factor=2, mode=mode))


def test_a_magnified_image_is_interpolated_and_its_prediction_averaged():
    image = torch.randn(1, 1, 8, 12)
    network = nn.Conv2d(1, 2, 3, padding=1)
    fine = network(F.interpolate(image, scale_factor=3, mode="bilinear"))
    torch.testing.assert_close(Magnified(network, 2, 3.1)(image), F.avg_pool2d(fine, 3))


def test_a_network_at_its_own_pixel_size_stays_as_it_is():
    network = nn.Conv2d(1, 1, 1)
    assert magnified(network, 2, 1.2) is network


@pytest.mark.parametrize(("ratio", "multiple"), [(2, 2), (3, 4), (4, 1), (8, 1), (0.5, 8), (0.3, 12)])
def test_images_are_mirrored_no_further_than_the_network_needs(ratio, multiple):
    """As far as blocks are, whose stride is what the layers themselves need."""
    network = Magnified(UNet(width=2, levels=2).eval(), 2, ratio)
    assert network.multiple == multiple == footprint(network, 2, 1).stride[0]


@pytest.mark.parametrize("factor", [1 / 8, 1 / 7, 1 / 5, 1 / 3, 0.5, 1, 2, 3, 8])
def test_windows_fit_a_network_at_every_magnification(factor):
    network = UNet(out_channels=2, width=2, levels=3).eval()
    image = torch.randn(1, 1, 150, 70)
    with torch.no_grad():
        assert SlidingWindow(64)(image, network, magnification=torch.tensor([factor])).shape == (1, 2, 150, 70)


def test_windows_are_magnified_as_the_whole_image_is():
    """Sides that fit neither the pooling nor the network are mirrored; the prediction has the size of the image."""
    torch.manual_seed(0)
    network = UNet(out_channels=2, width=4, levels=2).eval()
    image = torch.randn(1, 1, 30, 45)
    windows = SlidingWindow(64)
    with torch.no_grad():
        found = windows(image, network, magnification=torch.tensor([0.5]))
        mirrored = torch.cat([image, image[..., -3:].flip(-1)], -1)
        mirrored = torch.cat([mirrored, mirrored[..., -2:, :].flip(-2)], -2)
        expected = F.interpolate(network(F.avg_pool2d(mirrored, 2)), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(found, expected[..., :30, :45])
