from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest

from rockmonai.data import domains, image_patch_size
from rockmonai.errors import DataError, UsageError
from rockmonai.volumes import create_volume
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
    assert names(found["label"]) == ["a", "b", "c", "d", "e"]  # nothing but training wants them
    validation = domains(tmp_path / "fast", tmp_path / "slow", "validation", patch_size=8)
    assert names(validation["image"]) == ["quick_2"]


def test_two_volumes_are_two_data_sets(tmp_path):
    fast, slow = write(tmp_path / "fast.tif", (40, 16, 16)), write(tmp_path / "slow.tif", (64, 16, 16))
    found = domains(fast, slow, patch_size=8)
    assert found["image"] == [{"name": "fast", "image": str(fast), "roi": [[0, 30], [0, 16], [0, 16]]}]
    assert found["label"] == [{"name": "slow", "image": str(slow)}]


def test_labels_that_have_splits_of_their_own_keep_them(tmp_path):
    fast = write(tmp_path / "fast.tif", (40, 16, 16))
    for split in ("train", "test"):
        write(tmp_path / "slow" / split / "label" / f"{split}.tif", (16, 16, 16))
    assert names(domains(fast, tmp_path / "slow", patch_size=8)["label"]) == ["train"]


@pytest.mark.parametrize("scale", [1, 2])
def test_the_same_scans_cannot_be_images_and_labels(tmp_path, scale):
    write(tmp_path / "a.tif", (40, 16, 16))
    with pytest.raises(DataError, match=r"pass scans of the one kind as --dataset_dir .* as --label_dir"):
        domains(tmp_path / "a.tif", scale=scale, patch_size=8)


def listed(tmp_path, name, *entries):
    (tmp_path / f"{name}.json").write_text(json.dumps({"train": entries}))
    return tmp_path / f"{name}.json"


@pytest.mark.parametrize("label_dir", ["a.tif", "also.tif", "."])
def test_the_same_files_cannot_be_images_and_labels(tmp_path, label_dir):
    write(tmp_path / "a.tif", (40, 16, 16))
    (tmp_path / "also.tif").symlink_to(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"A place of .*a\.tif would be an image and a label: give regions"):
        domains(tmp_path / "a.tif", tmp_path / label_dir, patch_size=8)


@pytest.mark.parametrize(("start", "apart"), [(20, True), (19, False)])
def test_regions_of_one_volume_may_be_in_both_domains_if_they_are_apart(tmp_path, start, apart):
    write(tmp_path / "scan.tif", (40, 16, 16))
    first, second = {"path": "scan.tif", "ROI0": [0, 20]}, {"path": "scan.tif", "ROI0": [start, -1]}
    lists = listed(tmp_path, "fast", first), listed(tmp_path, "slow", second)
    if apart:
        assert domains(*lists, patch_size=8)["label"][0]["roi"][0] == [20, 40]
        return
    with pytest.raises(DataError, match=r"scan\.tif would be an image and a label"):
        domains(*lists, patch_size=8)


@pytest.mark.parametrize(("start", "apart"), [(20, True), (18, False)])
def test_listed_pairs_of_one_volume_must_be_apart_where_halves_are_taken(tmp_path, start, apart):
    write(tmp_path / "fast.tif", (20, 8, 8))
    write(tmp_path / "slow.tif", (40, 16, 16))
    pair = {"image": "fast.tif", "label": "slow.tif"}
    regions = [[[0, 20], [0, 16], [0, 16]], [[start, 40], [0, 16], [0, 16]]]
    both = listed(tmp_path, "both", *({**pair, "roi": region} for region in regions))
    if apart:
        assert domains(both, scale=2, patch_size=8)["image"][0]["roi"] == [[0, 10], [0, 8], [0, 8]]
        return
    with pytest.raises(DataError, match=r"A place of .*slow\.tif would be an image and a label"):
        domains(both, scale=2, patch_size=8)


@pytest.mark.parametrize(
    ("fine", "scale", "warned"), [(0.4, 2, False), (0.401, 2, False), (0.4, 1, True), (None, 1, False)]
)
def test_voxel_sizes_that_are_not_those_of_the_scale_are_warned_of(tmp_path, caplog, fine, scale, warned):
    for name, spacing in (("fast", 0.8), ("slow", fine)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data"] = np.zeros((40, 16, 16), np.uint8)
            if spacing:
                file["data"].attrs["spacing"] = (spacing,) * 3
    domains(tmp_path / "fast.h5", tmp_path / "slow.h5", scale=scale, patch_size=8)
    sentence = "voxels of 0.8 x 0.8 x 0.8 µm and"
    assert (sentence in caplog.text) == warned == bool([r for r in caplog.records if r.levelname == "WARNING"])


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
    shutil.copy(tmp_path / "fast.h5", tmp_path / "slow.h5")
    for name in ("fast", "slow"):
        entries = [{"path": f"{name}.h5", "ROI0": [4, -1], "ROI2": [-12, -2]}, {"path": f"{name}.h5", "dset": "other"}]
        (tmp_path / f"{name}.json").write_text(json.dumps({"train": entries, "validate": entries[1:]}))
    found = domains(tmp_path / "fast.json", tmp_path / "slow.json", patch_size=8)
    for name, records in zip(("fast", "slow"), found.values(), strict=True):
        assert [record["image"] for record in records] == [
            f"{tmp_path}/{name}.h5::data",
            f"{tmp_path}/{name}.h5::other",
        ]
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
        (
            {"path": "fast.h5::data", "dset": "data"},
            "names a data set in 'fast.h5::data' and as dset 'data'; name it once",
        ),
        (
            {"path": "slice.tif", "ROI0": [0, 4]},
            r"region along z, y and x, but slice\.tif is one slice of 12 x 16 pixels",
        ),
        (
            {"path": "slice.tif", "ROI2": [0, 4]},
            r"region along z, y and x, but slice\.tif is one slice of 12 x 16 pixels",
        ),
    ],
)
def test_what_is_no_entry_of_the_published_form(tmp_path, entry, sentence):
    with h5py.File(tmp_path / "fast.h5", "w") as file:
        file["data"] = np.zeros((20, 12, 16), np.float32)
    write(tmp_path / "slice.tif", (12, 16))
    (tmp_path / "fast.json").write_text(json.dumps({"train": [entry]}))
    with pytest.raises(DataError, match=sentence):
        domains(tmp_path / "fast.json", tmp_path / "fast.json", patch_size=4)


def test_our_own_hdf5_is_an_entry_of_the_published_form(tmp_path):
    with create_volume(tmp_path / "clean.h5", (1, 20, 12, 16), "uint8") as volume:
        volume[...] = np.zeros((1, 20, 12, 16), np.uint8)
    write(tmp_path / "slow.tif", (20, 12, 16))
    fast, slow = listed(tmp_path, "fast", {"path": "clean.h5", "ROI0": [2, -1]}), tmp_path / "slow.tif"
    (found,) = domains(fast, slow, patch_size=8)["image"]
    assert found == {"name": "clean", "image": f"{tmp_path}/clean.h5", "roi": [[2, 20], [0, 12], [0, 16]]}


def test_without_the_usual_data_set_several_are_no_choice(tmp_path):
    with h5py.File(tmp_path / "fast.h5", "w") as file:
        file["one"] = file["two"] = np.zeros((20, 12, 16), np.float32)
    with pytest.raises(DataError, match="holds 2 images"):
        domains(listed(tmp_path, "fast", {"path": "fast.h5"}), tmp_path / "fast.h5", patch_size=8)
