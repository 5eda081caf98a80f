"""What an inference in blocks promises: the voxels of the network applied to the whole scan, in any format."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest
import tifffile
import torch

from rockmonai.volumes import create_volume, open_volume
from tests.bundles.runs import predict, write_model

SHAPES = {2: (71, 90), 3: (22, 30, 40)}
UNET = {
    "_target_": "UNet",
    "spatial_dims": "@spatial_dims",
    "in_channels": 1,
    "out_channels": 1,
    "channels": [4, 8, 8],
    "strides": [2, 2],
    "norm": "batch",
}


def rock(shape, dtype="uint8"):
    """Grains of a few voxels: what lies beside a voxel matters."""
    values = np.random.default_rng(len(shape)).random(shape)
    return (values * (1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max)).astype(dtype)


def write_scan(path, grey, spacing=3.0):
    with create_volume(path, (1, *grey.shape), grey.dtype, (spacing,) * grey.ndim) as volume:
        volume[:] = grey[None]
    return path


def whole(network, grey, low=0.0, high=255.0, levels=None, dtype=None):
    """The network applied to all of the scan at once, as greys: from the greys ``low, high`` to ``levels``."""
    dtype = np.dtype(dtype or grey.dtype)
    first, last = levels or (low, high)
    with torch.no_grad():
        image = torch.from_numpy((grey.astype(np.float64) - low) / (high - low) * 2 - 1).float()
        pred = network(image[None, None])[0, 0].double().numpy()
    greys = (pred + 1) / 2 * (last - first) + first
    if dtype.kind == "f":
        return greys.astype(dtype)
    return np.rint(greys).clip(np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


def assert_same_greys(found, expected):
    """At most one level off, and that where rounding decides otherwise."""
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert expected.std() > np.iinfo(expected.dtype).max / 50, "an empty picture proves nothing"
    difference = np.abs(found.astype(np.int64) - expected.astype(np.int64))
    assert difference.max() <= 1 and (difference > 0).mean() <= 1e-3


@pytest.mark.parametrize("block_size", [16, None])
@pytest.mark.parametrize("dims", [2, 3])
def test_equals_the_network_applied_to_the_whole_scan(tmp_path, dims, block_size):
    network, grey = write_model(tmp_path, spatial_dims=dims), rock(SHAPES[dims])
    scan = write_scan(tmp_path / "scan.tif", grey)
    predict(scan, tmp_path / "fine.ome.zarr", tmp_path, spatial_dims=dims, block_size=block_size)
    fine = open_volume(tmp_path / "fine.ome.zarr")
    assert_same_greys(fine.read()[0], whole(network, grey))
    assert fine.spacing == pytest.approx((1.5,) * dims)
    assert not (tmp_path / "fine.ome.zarr.partial").exists()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("suffix", [".tif", ".h5", ".nii.gz", ".nrrd"])
def test_every_format_holds_the_same(tmp_path, suffix, dims):
    network, grey = write_model(tmp_path, spatial_dims=dims), rock(SHAPES[dims])
    scan = write_scan(tmp_path / f"scan{suffix}", grey)
    predict(scan, tmp_path / f"fine{suffix}", tmp_path, spatial_dims=dims, block_size=16)
    fine = open_volume(tmp_path / f"fine{suffix}")
    assert_same_greys(fine.read()[0], whole(network, grey))
    assert fine.spacing == pytest.approx((1.5,) * dims)


@pytest.mark.parametrize(
    ("dtype", "options", "low", "high", "levels"),
    [
        ("uint16", {}, 0, 65535, None),
        ("uint16", {"grey_range": [1000, 60000]}, 1000, 60000, None),
        ("uint8", {"output_dtype": "uint16"}, 0, 255, (0, 65535)),
        ("uint16", {"output_dtype": "uint8"}, 0, 65535, (0, 255)),
        ("float32", {"grey_range": [0, 1], "output_dtype": "uint8"}, 0, 1, None),
    ],
)
def test_greys_keep_their_type_or_take_the_wanted_one(tmp_path, dtype, options, low, high, levels):
    network, grey = write_model(tmp_path), rock(SHAPES[2], dtype)
    if dtype == "float32":
        grey *= 200
        options, high = options | {"grey_range": [0, 200]}, 200
    scan = write_scan(tmp_path / "scan.tif", grey)
    predict(scan, tmp_path / "fine.tif", tmp_path, block_size=32, **options)
    expected = whole(network, grey, low, high, levels, options.get("output_dtype"))
    found = tifffile.imread(tmp_path / "fine.tif")
    if expected.dtype == np.uint16:  # single precision has no more levels than these
        assert found.dtype == np.uint16
        assert np.abs(found.astype(int) - expected).max() <= 1
    else:
        assert_same_greys(found, expected)


def test_floats_stay_floats_and_are_not_clipped(tmp_path):
    network, grey = write_model(tmp_path), rock(SHAPES[2], "float32")
    scan = write_scan(tmp_path / "scan.tif", grey)
    predict(scan, tmp_path / "fine.tif", tmp_path, block_size=32, grey_range=[0, 1])
    found, expected = tifffile.imread(tmp_path / "fine.tif"), whole(network, grey, 0, 1)
    assert found.dtype == np.float32 and expected.max() > 1
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 2])
def test_a_2d_network_takes_a_volume_slice_by_slice(tmp_path, axis):
    network, grey = write_model(tmp_path), rock(SHAPES[3])
    scan = write_scan(tmp_path / "scan.tif", grey)
    predict(scan, tmp_path / "fine.tif", tmp_path, block_size=16, slicewise="zyx"[axis])
    slices = [whole(network, part) for part in np.moveaxis(grey, axis, 0)]
    assert_same_greys(tifffile.imread(tmp_path / "fine.tif"), np.stack(slices, axis))
    spacing = [1.5, 1.5, 1.5]
    spacing[axis] = 3.0
    if axis == 0:  # a TIFF has one number for a pixel
        assert open_volume(tmp_path / "fine.tif").spacing == pytest.approx(spacing)


def test_a_2d_network_takes_the_mean_of_three_directions(tmp_path):
    same = {"scale": 1, "network_def__upsampling": "direct"}
    network, grey = write_model(tmp_path, **same), rock(SHAPES[3])
    scan = write_scan(tmp_path / "scan.tif", grey)
    predict(scan, tmp_path / "fine.ome.zarr", tmp_path, block_size=16, slicewise="zyx", **same)
    with torch.no_grad():
        volume = torch.from_numpy(grey / 127.5 - 1).float()
        passes = [
            torch.stack([network(image[None, None])[0, 0] for image in volume.unbind(axis)], axis) for axis in range(3)
        ]
    expected = ((sum(passes) / 3 + 1) * 127.5).round().clamp(0, 255).numpy().astype(np.uint8)
    assert_same_greys(open_volume(tmp_path / "fine.ome.zarr").read()[0], expected)


def test_three_directions_refine_three_axes(tmp_path):
    write_model(tmp_path)
    scan = write_scan(tmp_path / "scan.tif", rock(SHAPES[3]))
    for size in (16, None):
        predict(scan, tmp_path / f"{size}.ome.zarr", tmp_path, block_size=size, slicewise="zyx")
    small, large = (open_volume(tmp_path / f"{size}.ome.zarr") for size in (16, None))
    assert small.shape == (1, 44, 60, 80) and small.spacing == pytest.approx((1.5, 1.5, 1.5))
    assert_same_greys(small.read(), large.read())


def test_blocks_of_a_strided_network_lie_on_its_grid(tmp_path, caplog):
    strided = {"network_def": UNET, "scale": 1, "device": "cpu"}
    network, grey = write_model(tmp_path, **strided), rock((72, 92))
    scan = write_scan(tmp_path / "scan.tif", grey)
    with caplog.at_level(logging.INFO):
        predict(scan, tmp_path / "fine.tif", tmp_path, block_size=30, **strided)
    assert "block_size [30, 30] -> (32, 32), a multiple of the network's stride (4, 4)" in caplog.text
    assert_same_greys(tifffile.imread(tmp_path / "fine.tif"), whole(network, grey))


def test_a_scan_that_is_no_multiple_of_the_stride_is_mirrored_at_its_far_faces(tmp_path):
    strided = {"network_def": UNET, "scale": 1, "device": "cpu"}
    network, grey = write_model(tmp_path, **strided), rock((71, 90))
    scan = write_scan(tmp_path / "scan.tif", grey)
    predict(scan, tmp_path / "fine.tif", tmp_path, block_size=32, **strided)
    mirrored = np.pad(grey, ((0, 1), (0, 2)), mode="symmetric")
    assert_same_greys(tifffile.imread(tmp_path / "fine.tif"), whole(network, mirrored)[:71, :90])


@pytest.mark.parametrize("shape", [(9, 5), (2, 300)])
def test_a_scan_smaller_than_a_block_is_one_block(tmp_path, shape):
    network, grey = write_model(tmp_path), rock(shape)
    scan = write_scan(tmp_path / "scan.tif", grey)
    predict(scan, tmp_path / "fine.tif", tmp_path, block_size=64)
    assert_same_greys(tifffile.imread(tmp_path / "fine.tif"), whole(network, grey))


def test_a_network_that_measures_its_input_is_frozen_and_says_so(tmp_path, caplog):
    instance = {"network_def__norm": "instance"}
    write_model(tmp_path, **instance)
    scan = write_scan(tmp_path / "scan.tif", rock((150, 130)))
    with caplog.at_level(logging.WARNING):
        for size in (16, 48, None):
            predict(scan, tmp_path / f"{size}.tif", tmp_path, block_size=size, **instance)
    assert "normalises by the mean and variance of the image it sees" in caplog.text
    small, middle, large = (tifffile.imread(tmp_path / f"{size}.tif") for size in (16, 48, None))
    assert_same_greys(small, large)
    assert_same_greys(middle, large)


def test_a_halo_that_is_too_small_is_said_and_seen(tmp_path, caplog):
    network, grey = write_model(tmp_path), rock(SHAPES[2])
    scan = write_scan(tmp_path / "scan.tif", grey)
    with caplog.at_level(logging.WARNING):
        predict(scan, tmp_path / "fine.tif", tmp_path, block_size=16, halo=1)
    assert "halo 1 is not exact: the network sees 5 voxels around" in caplog.text
    difference = np.abs(tifffile.imread(tmp_path / "fine.tif").astype(int) - whole(network, grey))
    assert difference.max() > 5 and (difference == 0).mean() > 0.3


def test_windows_of_monai_inside_the_blocks_are_close_and_not_equal(tmp_path):
    network, grey = write_model(tmp_path), rock((150, 130))
    scan = write_scan(tmp_path / "scan.tif", grey)
    small = {"inferer__roi_size": 32, "block_size": 64}
    predict(scan, tmp_path / "fine.tif", tmp_path, ["inference", "sliding_window"], **small)
    difference = np.abs(tifffile.imread(tmp_path / "fine.tif").astype(int) - whole(network, grey))
    assert difference.max() > 1 and np.median(difference) == 0 and difference.mean() < 2


def test_blocks_read_ahead_and_lower_precision_change_little(tmp_path, caplog):
    network, grey = write_model(tmp_path), rock(SHAPES[2])
    scan = write_scan(tmp_path / "scan.tif", grey)
    with caplog.at_level(logging.INFO):
        predict(scan, tmp_path / "fine.tif", tmp_path, block_size=32, amp="bf16", num_workers=1)
    assert "dB from float32 on the first block" in caplog.text
    difference = np.abs(tifffile.imread(tmp_path / "fine.tif").astype(int) - whole(network, grey))
    assert 0 < difference.mean() < 2


def test_what_is_done_and_what_it_costs_is_told(tmp_path, caplog):
    write_model(tmp_path)
    scan = write_scan(tmp_path / "scan.tif", rock(SHAPES[2]))
    with caplog.at_level(logging.INFO, "rockmonai"):
        predict(scan, tmp_path / "fine.tif", tmp_path, block_size=16)
    first, second, third, last = (message.replace(f"{tmp_path}/", "") for message in caplog.messages[-4:])
    assert first == "scan.tif (71 x 90 uint8) -> fine.tif (142 x 180 uint8, voxels of 1.5 x 1.5 µm)"
    assert second.startswith("30 blocks of 16 x 16 voxels, 5 more on each side; memory of the layers: about 0.")
    assert "30 blocks predicted" in third and re.fullmatch(r"wrote fine.tif, \d.\d\d% of its voxels clipped", last)
