from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from monai.networks.nets import UNet
from monai.transforms import Compose
from torch import nn

from rockmonai.data import Scan
from rockmonai.errors import DataError, ModelError, UsageError
from rockmonai.inferers import Slicewise, tile, tiling
from rockmonai.inferers.block_inferer import BlockInferer
from rockmonai.networks import StackedUNets
from rockmonai.transforms import ScaleGreyd
from rockmonai.volumes.blocks import size_of
from tests.inferers.networks import layers, srresnet, unet


@pytest.fixture
def scan_of(tmp_path):
    def make(*shape, dtype=np.uint8):
        values = np.random.default_rng(0).integers(0, 200, shape)
        path = tmp_path / f"{'_'.join(map(str, shape))}_{np.dtype(dtype)}.npy"
        np.save(path, values.astype(dtype))
        return Scan(str(path), Compose([ScaleGreyd("image", [0, 255])]))

    return make


def test_halo_is_the_reach(scan_of):
    plan = tile(scan_of(50, 60), srresnet()())
    assert plan.halo == plan.footprint.reach == (6, 6)
    assert plan.exact
    assert plan.output_shape == (200, 240)


@pytest.mark.parametrize(("given", "expected"), [(20, (20, 20)), ([9, 17], (12, 20)), (1, (4, 4)), (1000, (56, 64))])
def test_block_size_is_rounded_up_to_the_grid(scan_of, given, expected, caplog):
    caplog.set_level(logging.INFO, "rockmonai")
    plan = tile(scan_of(50, 60), unet()(), given)
    assert plan.size == expected
    assert all(part.start % 4 == 0 for block in plan.blocks for part in block.core)
    assert ("a multiple of the network's stride" in caplog.text) == (given in ([9, 17], 1))


def test_blocks_are_about_equally_large(scan_of):
    # 2 of 56 rather than 64 and 36.
    assert tile(scan_of(100, 60), srresnet()(), 64).size == (56, 64)


def test_scan_is_mirrored_up_to_the_grid(scan_of):
    plan = tile(scan_of(50, 61), unet()())
    assert (plan.frame, plan.output_shape) == ((52, 64), (50, 61))
    assert max(part.stop for block in plan.blocks for part in block.core[1:]) == 61
    assert max(part.stop for block in plan.blocks for part in block.read[1:]) == 64


def test_size_follows_the_memory(scan_of, monkeypatch):
    scan, network = scan_of(70, 80, 90), srresnet(spatial_dims=3, scale=2, upsampling="direct")()
    sizes = []
    for budget in (1, 30 << 20, 1 << 40):
        monkeypatch.setattr(tiling, "_CPU_BYTES", budget)
        plan = tile(scan, network)
        assert plan.bytes_at_once < budget or budget == 1
        sizes.append(np.prod(plan.size))
    assert sizes[0] == 16**3 < sizes[1] < sizes[2]


@torch.no_grad()
def test_memory_is_predicted(scan_of):
    # The measure counts what the layers of one block hold; the same on the CPU with values.
    scan, network = scan_of(40, 40, 40), srresnet(spatial_dims=3, scale=2, upsampling="direct")()
    plan = tile(scan, network, 40)
    whole = scan.read(plan.blocks[0].read)[None]
    fine = 4 * 80**3
    features = 4 * 4 * 40**3
    assert fine + features < plan.bytes_at_once < 2 * fine + 6 * features
    assert network(whole).shape == (1, 1, 80, 80, 80)


@pytest.mark.parametrize(("align_corners", "halo"), [(False, "reach"), (True, 16)])
def test_memory_is_imagined_with_any_interpolation(scan_of, align_corners, halo):
    plan = tile(scan_of(64, 64), StackedUNets(width=1, levels=1, align_corners=align_corners).eval(), halo=halo)
    assert plan.exact != align_corners
    assert plan.bytes_at_once > 4 * 64 * 64


def test_slices_are_taken_in_batches(scan_of):
    plan = tile(scan_of(40, 70, 70), Slicewise(srresnet(scale=2)(), "z"))
    assert plan.halo[0] == 0
    assert plan.size[0] <= 16


def test_halo_in_voxels(scan_of, caplog):
    plan = tile(scan_of(50, 60), srresnet()(), halo=3)
    assert plan.halo == (3, 3)
    assert not plan.exact
    assert "halo 3 is not exact: the network sees 6 voxels" in caplog.text
    assert tile(scan_of(50, 60), srresnet()(), halo=9).exact


def test_network_that_looks_at_everything(scan_of, caplog):
    network = UNet(2, 1, 1, (4, 8), (2,), norm="instance")
    with pytest.raises(ModelError, match=r"looks at its whole input.*--halo 32"):
        tile(scan_of(50, 60), network)
    assert not tile(scan_of(50, 60), network, halo=8).exact
    assert "looks at everything" in caplog.text


@torch.no_grad()
def test_thin_rest_at_a_face_is_large_enough_for_the_network(scan_of):
    # A last core of 1 voxel and a halo of 2 are less than a mirrored border of 4 needs.
    network, scan = srresnet(head_kernel=9)(), scan_of(17, 40)
    plan = tile(scan, network, [16, 40], halo=2)
    assert size_of(plan.blocks[-1].core) == (1, 40)
    read = plan.blocks[-1].read
    assert network(scan.read(read)[None]).shape == (1, 1, *(4 * n for n in size_of(read)))
    assert BlockInferer(plan).tiling is plan


@pytest.mark.parametrize("given", [0, -4, [8, 8, 8], [8, 0]])
def test_impossible_block_size(scan_of, given):
    with pytest.raises(UsageError, match="block_size is"):
        tile(scan_of(50, 60), srresnet()(), given)


@pytest.mark.parametrize("given", [-1, "wide"])
def test_impossible_halo(scan_of, given):
    with pytest.raises(UsageError, match="use 'reach', 'calibrated' or a number of voxels"):
        tile(scan_of(50, 60), srresnet()(), halo=given)


def test_scan_smaller_than_the_network_accepts(scan_of):
    with pytest.raises(DataError, match="has 3 x 60 voxels and the model needs at least 5 x 5"):
        tile(scan_of(3, 60), srresnet(head_kernel=9)())
    # To a grid, the scan is mirrored.
    assert tile(scan_of(3, 60), unet()()).frame == (4, 60)


def weighing(rim):
    """A network of reach 8 whose weights are 0 or of a known size at 3 and at 8 voxels."""
    network = layers(lambda: nn.Conv2d(1, 1, 17, padding=8))()
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].weight[..., 8, 8] = 0.5
        network[0].weight[..., 8, 11] = 0.3
        network[0].weight[..., 0, 8] = rim
    return network


@pytest.mark.parametrize(
    ("rim", "dtype", "halo"), [(1e-4, None, 3), (0.1, None, 8), (1e-4, "uint16", 8), (1e-7, "uint16", 3)]
)
def test_calibrated_halo_is_as_wide_as_the_greys_demand(scan_of, rim, dtype, halo, caplog):
    # Half a level of 8 bits is 1 / 255 of the network's units, of 16 bits 1 / 65535.
    caplog.set_level(logging.INFO, "rockmonai")
    plan = tile(scan_of(90, 80), weighing(rim), 32, halo="calibrated", dtype=dtype)
    assert plan.halo == (halo, halo)
    assert plan.exact == (halo == 8)
    assert f"halo {halo} instead of the reach 8" in caplog.text


def test_calibration_in_3d_and_on_a_grid(scan_of):
    plan = tile(scan_of(20, 21, 22), unet(3)(), halo="calibrated", grey_range=(0, 255))
    assert max(plan.halo) <= max(plan.footprint.reach)


def test_calibration_needs_grey_levels(scan_of):
    with pytest.raises(UsageError, match="floats have none: use 'reach'"):
        tile(scan_of(50, 60, dtype=np.float32), srresnet()(), halo="calibrated", grey_range=(0, 1))
