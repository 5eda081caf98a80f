from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from rockmonai.data import domains, image_patch_size
from rockmonai.errors import DataError, UsageError
from tests.data.images import write


def write_pairs(folder, count, scale=1, size=16):
    """Write pairs of volumes into a training folder; their names are their numbers."""
    for number in range(count):
        write(folder / "train" / "image" / f"{number}.tif", (size // scale,) * 3)
        write(folder / "train" / "label" / f"{number}.tif", (size,) * 3)
    return folder


def names(records):
    return [record["name"] for record in records]


@pytest.mark.parametrize(("count", "images", "labels"), [(6, ["0", "1"], ["2", "3"]), (7, ["0", "1", "2"], ["3", "4"])])
def test_one_data_set_gives_images_of_its_first_half_and_labels_of_its_second(tmp_path, count, images, labels):
    """A quarter is kept from training, at least one record for each of validation and test."""
    found = domains(write_pairs(tmp_path, count), patch_size=8)
    assert (names(found["image"]), names(found["label"])) == (images, labels)
    assert all("/train/image/" in record["image"] for record in found["image"])
    assert all("/train/label/" in record["image"] for record in found["label"])


@pytest.mark.parametrize("scale", [1, 2])
def test_a_single_pair_is_cut_in_two(tmp_path, scale):
    write(tmp_path / "train" / "image" / "a.tif", (24 // scale, 16 // scale, 16 // scale))
    write(tmp_path / "train" / "label" / "a.tif", (24, 16, 16))
    write(tmp_path / "validation" / "image" / "b.tif", (16 // scale,) * 3)
    write(tmp_path / "validation" / "label" / "b.tif", (16,) * 3)
    found = domains(tmp_path, scale=scale, patch_size=8)
    side = 16 // scale
    assert found["image"][0]["roi"] == [[0, 12 // scale], [0, side], [0, side]]
    assert found["label"][0]["roi"] == [[12, 24], [0, 16], [0, 16]]
    with pytest.raises(DataError, match="12 x 16 x 16, smaller than a patch of 16 x 16 x 16"):
        domains(tmp_path, scale=scale, patch_size=16)


def test_two_data_sets_need_nothing_in_common(tmp_path):
    for number in range(4):
        write(tmp_path / "fast" / f"quick_{number}.tif", (12, 12, 12))
    for number in range(5):
        write(tmp_path / "slow" / f"{'abcde'[number]}.tif", (40, 20, 20), dtype=np.uint16)
    found = domains(tmp_path / "fast", tmp_path / "slow", scale=2, patch_size=16)
    assert names(found["image"]) == ["quick_0", "quick_1"]
    assert names(found["label"]) == ["a", "b", "c"]
    validation = domains(tmp_path / "fast", tmp_path / "slow", "validation", patch_size=8)
    assert names(validation["image"]) == ["quick_2"] and names(validation["label"]) == ["d"]


def test_two_volumes_are_two_data_sets(tmp_path):
    fast, slow = write(tmp_path / "fast.tif", (40, 16, 16)), write(tmp_path / "slow.tif", (64, 16, 16))
    found = domains(fast, slow, patch_size=8)
    assert found["image"] == [{"name": "fast", "image": str(fast), "roi": [[0, 30], [0, 16], [0, 16]]}]
    assert found["label"] == [{"name": "slow", "image": str(slow), "roi": [[0, 48], [0, 16], [0, 16]]}]


@pytest.mark.parametrize("scale", [1, 2])
def test_the_same_scans_cannot_be_images_and_labels(tmp_path, scale):
    write(tmp_path / "a.tif", (40, 16, 16))
    with pytest.raises(DataError, match=r"pass scans of the one kind as --dataset_dir .* as --label_dir"):
        domains(tmp_path / "a.tif", scale=scale, patch_size=8)


def test_folders_name_both_domains(tmp_path):
    with pytest.raises(UsageError, match="folders names image; it needs 'image' and 'label'"):
        domains(tmp_path, folders={"image": "fast"})


def test_voxels_that_are_no_numbers_are_refused_unless_they_shall_be_filled(tmp_path):
    for name in ("fast", "slow"):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data"] = np.full((40, 8, 8), np.nan, np.float32)
    files = tmp_path / "fast.h5", tmp_path / "slow.h5"
    with pytest.raises(DataError, match="NaN/Inf"):
        domains(*files, patch_size=4)
    assert names(domains(*files, patch_size=4, nan="fill")["label"]) == ["slow"]
    with pytest.raises(UsageError, match="nan is 'zero'; use 'refuse' or 'fill'"):
        domains(*files, patch_size=4, nan="zero")


@pytest.mark.parametrize(("size", "expected"), [(32, 16), ([64, 128, 128], [32, 64, 64]), (None, None)])
def test_a_patch_has_fewer_image_voxels(size, expected):
    assert image_patch_size(size, 2) == expected


def test_lists_in_the_published_form(tmp_path):
    with h5py.File(tmp_path / "fast.h5", "w") as file:
        file["data"], file["other"] = np.zeros((20, 12, 16), np.float32), np.zeros((9, 9, 9), np.float32)
    entries = [{"path": "fast.h5", "ROI0": [4, -1], "ROI2": [-12, -2]}, {"path": "fast.h5", "dset": "other"}]
    for name in ("fast", "slow"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"train": entries, "validate": entries[1:]}))
    found = domains(tmp_path / "fast.json", tmp_path / "slow.json", patch_size=8)
    for records in found.values():
        assert [record["image"] for record in records] == [f"{tmp_path}/fast.h5::data", f"{tmp_path}/fast.h5::other"]
        assert records[0]["roi"] == [[4, 20], [0, 12], [4, 14]] and "roi" not in records[1]
    assert len(domains(tmp_path / "fast.json", tmp_path / "slow.json", "validation")["image"]) == 1


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"path": "fast.h5", "ROI": [[0, 0, 0], [-1, -1, -1]]}, "has a path and 'ROI'; give .* ROI0, ROI1 and ROI2"),
        ({"path": 7}, "has a path and 'path'; give the path as text"),
        ({"path": "fast.h5", "ROI0": [0, 4.5]}, r"has a region \[0, 4.5\]; give each axis its \[start, stop\]"),
        ({"path": "fast.h5", "ROI0": 4}, "has a region 4; give each axis"),
        ({"path": "fast.h5", "ROI0": [0, 21]}, r"The region .* does not fit .*fast\.h5.* of 20 x 12 x 16 voxels"),
        ({"path": "fast.h5", "dset": "dat"}, "has no image 'dat' .did you mean 'data'"),
    ],
)
def test_what_is_no_entry_of_the_published_form(tmp_path, entry, sentence):
    with h5py.File(tmp_path / "fast.h5", "w") as file:
        file["data"] = np.zeros((20, 12, 16), np.float32)
    (tmp_path / "fast.json").write_text(json.dumps({"train": [entry]}))
    with pytest.raises(DataError, match=sentence):
        domains(tmp_path / "fast.json", tmp_path / "fast.json", patch_size=4)
