"""What only the segmentation promises: classes instead of greys, from the masks to the pyramid of the output."""

from __future__ import annotations

import csv
from functools import partial

import numpy as np
import pytest
import tifffile
import torch
import zarr

from rockmonai.volumes import open_volume
from tests.bundles import runs
from tests.bundles.runs import tiny_network, train, workflow, write_small_set

BUNDLE = "sem_segmentation"
SHAPES = {2: (71, 90), 3: (22, 30, 40)}
predict, write_model = partial(runs.predict, bundle=BUNDLE), partial(runs.write_model, bundle=BUNDLE)


def rock(shape, dtype="uint8"):
    return np.random.default_rng(len(shape)).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def whole(network, grey):
    """The greatest class of the network applied to all of a scan at once, mirrored to a multiple of its stride."""
    mirrored = np.pad(grey, [(0, -length % 4) for length in grey.shape], mode="symmetric")
    image = torch.from_numpy(mirrored / np.iinfo(grey.dtype).max * 2 - 1).float()
    with torch.no_grad():
        logits = network(image[None, None])[0]
    return logits.argmax(0).numpy()[tuple(slice(length) for length in grey.shape)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("dims", [2, 3])
def test_blocks_hold_the_classes_of_the_network_applied_to_the_whole_scan(tmp_path, dims, dtype):
    network, grey = write_model(tmp_path, spatial_dims=dims), rock(SHAPES[dims], dtype)
    tifffile.imwrite(tmp_path / "scan.tif", grey, photometric="minisblack")
    predict(tmp_path / "scan.tif", tmp_path / "f.ome.zarr", tmp_path, spatial_dims=dims, block_size=16)
    found, expected = open_volume(tmp_path / "f.ome.zarr"), whole(network, grey)
    assert found.shape == (1, *SHAPES[dims]) and found.dtype == np.uint8
    assert set(np.unique(expected)) == {0, 1, 2}, "fewer classes prove less"
    # Logits that differ by no more than rounding may change places.
    assert (found.read()[0] != expected).mean() <= 1e-4


def test_coarser_levels_hold_voxels_of_the_finer_one(tmp_path):
    write_model(tmp_path)
    tifffile.imwrite(tmp_path / "scan.tif", rock((300, 280)))
    predict(tmp_path / "scan.tif", tmp_path / "f.ome.zarr", tmp_path)
    fine, coarse = (zarr.open_array(str(tmp_path / "f.ome.zarr"), path=level, mode="r")[0] for level in "01")
    assert np.array_equal(coarse, fine[::2, ::2])


def test_scores_are_those_of_the_predicted_classes(tmp_path):
    dataset = write_small_set(tmp_path / "set", BUNDLE)
    train(BUNDLE, dataset, tmp_path / "run", epochs=1)
    files = {"dataset_dir": str(dataset), "ckpt_dir": str(tmp_path / "run"), "output_dir": str(tmp_path)}
    workflow(BUNDLE, "evaluate", "infer", **tiny_network(BUNDLE), **files).run()
    for row in csv.DictReader((tmp_path / "scores.csv").open()):
        image, low, high = (
            dataset / "test" / folder / f"{row['name']}.tif" for folder in ("sem", "lowdensity", "highdensity")
        )
        predict(image, tmp_path / f"{row['name']}.tif", tmp_path / "run")
        pred = tifffile.imread(tmp_path / f"{row['name']}.tif")
        label = np.where(tifffile.imread(high) > 0, 2, tifffile.imread(low) > 0)
        for number, name in enumerate(("background", "lowdensity", "highdensity")):
            both, either = ((a == number for a in (pred, label)) for _ in range(2))
            expected = np.logical_and(*both).sum() / np.logical_or(*either).sum()
            assert float(row[f"iou_{name}"]) == pytest.approx(expected, abs=1e-6)
