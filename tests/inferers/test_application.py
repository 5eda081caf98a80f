from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.networks.nets import UNet
from monai.transforms import Compose

from rockmonai.data import Scan
from rockmonai.errors import DataError, UsageError
from rockmonai.inferers import Orthogonal, Slicewise, fit_for, footprint
from rockmonai.inferers.executors import padding
from rockmonai.networks import ResNetGenerator, UNetGenerator
from rockmonai.transforms import ScaleGreyd
from tests.inferers.networks import by_blocks, distance, randomised, srresnet, tiling


@pytest.fixture
def scan_of(tmp_path):
    def make(*shape):
        path = tmp_path / f"{'_'.join(map(str, shape))}.npy"
        np.save(path, np.random.default_rng(0).integers(0, 200, shape).astype(np.uint8))
        return Scan(str(path), Compose([ScaleGreyd("image")]))

    return make


def test_network_of_as_many_dimensions_is_taken_as_it_is(scan_of):
    network = srresnet()().train()
    assert fit_for(scan_of(8, 8), network, 2) is network
    assert not network.training


@torch.no_grad()
def test_network_for_images_on_a_volume(scan_of):
    scan, network = scan_of(5, 6, 7), srresnet(scale=2)()
    along, around = fit_for(scan, network, 2, "y"), fit_for(scan, network, 2, "zyx")
    assert isinstance(along, Slicewise) and isinstance(around, Orthogonal)
    volume = scan.read((slice(0, 5), slice(0, 6), slice(0, 7)))[None]
    assert along(volume).shape == (1, 1, 10, 6, 14)
    assert around(volume).shape == (1, 1, 10, 12, 14)


@pytest.mark.parametrize("slicewise", [None, "z", "x", "zyx"])
def test_norms_that_measure_the_image_become_local(scan_of, slicewise, caplog):
    dims = 2 if slicewise else 3
    network = randomised(UNet(dims, 1, 1, (4, 8), (2,), norm="instance"))
    assert not footprint(network, dims).finite
    fitted = fit_for(scan_of(8, 16, 12), network, dims, slicewise)
    assert footprint(fitted, 3).finite
    assert not footprint(network, dims).finite
    assert "UNet normalises by the mean and variance of the image it sees" in caplog.text


@torch.no_grad()
def test_frozen_network_is_the_network_where_the_pieces_are_the_scan(scan_of):
    scan, network = scan_of(24, 20), randomised(UNet(2, 1, 1, (4, 8), (2,), norm="instance"))
    whole = scan.read((slice(0, 24), slice(0, 20)))[None]
    torch.testing.assert_close(fit_for(scan, network, 2)(whole), network(whole), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("network", [ResNetGenerator, UNetGenerator])
@pytest.mark.parametrize(("shape", "slicewise"), [((150, 171), None), ((530, 61), None), ((3, 45, 67), "z")])
@torch.no_grad()
def test_scan_with_sides_that_the_network_does_not_accept(scan_of, network, shape, slicewise):
    size = {"blocks": 1} if network is ResNetGenerator else {"levels": 3}
    scan, network = scan_of(*shape), randomised(network(width=2, norm="instance", final=None, **size))
    fitted = fit_for(scan, network, 2, slicewise)
    frame = footprint(fitted, len(shape)).frame(shape)
    whole = scan.read(tuple(slice(0, n) for n in frame))[None]
    expected = fitted(whole)
    cut = by_blocks(padding(fitted), whole, tiling(fitted, whole, (1, 32, 32)[-len(shape) :]))
    assert distance(cut, expected) < 1e-4
    if shape[-2] == 150:  # one sample, the whole
        assert distance(expected, network(whole)) < 1e-3


def test_samples_are_not_smaller_than_what_the_network_accepts(scan_of, caplog):
    fit_for(scan_of(70, 20, 30), randomised(UNetGenerator(3, width=1, levels=6, norm="instance")), 3)
    assert "pieces of 64 x 64 x 64 voxels" in caplog.text


@pytest.mark.parametrize(("dims", "slicewise"), [(2, "w"), (2, ""), (3, "z")])
def test_impossible_slices(scan_of, dims, slicewise):
    with pytest.raises(UsageError, match="slicewise is"):
        fit_for(scan_of(4, 5, 6), srresnet(spatial_dims=dims)(), dims, slicewise)


def test_scan_that_does_not_fit(scan_of, tmp_path):
    with pytest.raises(DataError, match="is a volume of 4 x 5 x 6 voxels and the model is 2D"):
        fit_for(scan_of(4, 5, 6), srresnet()(), 2)
    with pytest.raises(DataError, match="a 3D model needs a volume"):
        fit_for(scan_of(5, 6), srresnet(spatial_dims=3)(), 3)
    with pytest.raises(DataError, match="has 2 channels, the model expects 1; give it a scan with 1"):
        fit_for(scan_of(2, 4, 5, 6), srresnet(spatial_dims=3)(), 3)
