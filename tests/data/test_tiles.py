from __future__ import annotations

import numpy as np
import pytest
import tifffile
from monai.transforms import Compose
from numpy.lib.stride_tricks import sliding_window_view

from rockmonai.data import pairs, tiles
from rockmonai.data.tiles import window_sums
from rockmonai.errors import DataError
from rockmonai.transforms import ColoursToClassesd, OpenVolumed, WholeImaged
from tests.data.images import write

KEYS = ["image", "label"]
READ = Compose([OpenVolumed(KEYS), WholeImaged(KEYS, 2)])


@pytest.mark.parametrize(
    ("shape", "size", "stride"),
    [((20, 31), (4, 6), (3, 5)), ((9, 12, 10), (4, 4, 3), (2, 3, 1)), ((7, 7), (7, 7), (1, 1))],
)
def test_sums_are_those_of_every_window(shape, size, stride):
    x = np.random.default_rng(0).random(shape) > 0.5
    every = sliding_window_view(x, size).sum(axis=tuple(range(x.ndim, 2 * x.ndim)))
    expected = every[tuple(slice(None, None, step) for step in stride)]
    assert np.array_equal(window_sums(x, size, stride), expected)


def test_windows_that_fit_into_the_image(tmp_path):
    record = {"name": "a", "label": str(write(tmp_path / "a.tif", (10, 9)))}
    found = tiles([record], 4, 3)
    assert [one["roi"] for one in found] == [[[y, y + 4], [x, x + 4]] for y in (0, 3, 6) for x in (0, 3)]
    assert [one["name"] for one in found][:3] == ["a_y0000_x0000", "a_y0000_x0003", "a_y0003_x0000"]
    assert all(one["label"] == record["label"] for one in found)


def test_windows_that_fit_into_a_region():
    record = {"name": "rock", "label": "a.tif", "roi": [[2, 6], [5, 9], [0, 8]]}
    found = tiles([record], [4, 4, 4], [1, 1, 4])
    assert [one["name"] for one in found] == ["rock_z0002_y0005_x0000", "rock_z0002_y0005_x0004"]
    assert found[1]["roi"] == [[2, 6], [5, 9], [4, 8]]


@pytest.mark.parametrize("size", [4, [4, 4]])
def test_slices_of_a_volume_have_tiles_one_voxel_thick(tmp_path, size):
    classes = np.zeros((2, 8, 8), np.uint8)
    classes[1, :2, :2] = 1
    tifffile.imwrite(tmp_path / "rock.tif", classes, photometric="minisblack")
    listed = [
        {"name": f"rock_z000{z}", "image": str(tmp_path / "rock.tif"), "label": str(tmp_path / "rock.tif")}
        | {"roi": [[z, z + 1], [0, 8], [0, 8]]}
        for z in (0, 1)
    ]
    assert len(tiles(listed, size, 4)) == 8
    (found,) = tiles(listed, size, 4, READ)
    assert (found["name"], found["roi"]) == ("rock_z0001_y0000_x0000", [[1, 2], [0, 4], [0, 4]])


@pytest.mark.parametrize(("dominant", "columns"), [(1.0, [0, 2, 4]), (0.75, [4]), (0.76, [0, 2, 4]), (0.4, [])])
def test_a_dominant_class_leaves_a_window_out(tmp_path, dominant, columns):
    classes = np.zeros((4, 12), np.uint8)
    classes[:, 3:6], classes[:, 6:] = 1, 2
    tifffile.imwrite(tmp_path / "a.tif", classes)
    record = {"name": "a", "image": str(tmp_path / "a.tif"), "label": str(tmp_path / "a.tif")}
    if columns:
        found = tiles([record], 4, 2, READ, dominant)
        assert [one["roi"][1][0] for one in found] == columns
    else:
        with pytest.raises(DataError, match=r"No window of 4 voxels of 1 images is left .* 40% of each"):
            tiles([record], 4, 2, READ, dominant)


def test_every_label_is_read_once_and_every_tile_as_it_was_counted(tmp_path):
    rng = np.random.default_rng(0)
    for folder in KEYS:
        (tmp_path / "train" / folder).mkdir(parents=True)
        for name in "abcd":
            tifffile.imwrite(tmp_path / "train" / folder / f"{name}.tif", rng.integers(0, 3, (20, 20), np.uint8))
    calls = []
    data = pairs(tmp_path, info_bar=4)
    found = tiles(data, 8, 4, lambda record: calls.append(record["name"]) or READ(record))
    assert calls == ["a", "b"] and len(found) == 2 * 3 * 4
    for one in found:
        window = tuple(slice(start, stop) for start, stop in one["roi"])
        assert np.array_equal(READ(one)["label"][0], tifffile.imread(one["label"])[window])


def test_no_window_fits(tmp_path):
    with pytest.raises(DataError, match="No window of 16 voxels"):
        tiles([{"name": "a", "label": str(write(tmp_path / "a.tif", (8, 32)))}], 16, 8)


def test_tiles_of_the_published_shale(real_data):
    grey = {"image": "luma", "label": "keep"}
    colours = [[255, 0, 0], [0, 255, 0], [0, 0, 0]]
    read = [OpenVolumed("label", grey), WholeImaged("label", 2)]
    exact = Compose([*read, ColoursToClassesd("label", colours, image_key=None, tolerance=0)])
    options = {"folders": {"image": "images", "label": "labels"}, "grey": grey, "info_bar": 80}
    splits = [pairs(real_data / "shale_sem", split, **options) for split in ("train", "validation", "test")]
    images = [record for records in splits for record in records]
    assert [record["name"] for record in images] == ["1", "2", "3", "4", "1"]
    assert [len(tiles([record], 128, 32)) for record in images] == [522] * 5
    assert [len(tiles([record], 128, 32, exact)) for record in images] == [520, 409, 436, 427, 370]
