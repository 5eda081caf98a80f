from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import tifffile

from rockmonai.data import pairs, sample_rock
from rockmonai.errors import DataError, UsageError
from rockmonai.transforms import OpenVolumed, RandPairedCropd, WholeImaged
from tests.data.images import write


def make(folder, names, image=(8, 8), label=(16, 16), split="train", modalities=("image", "label")):
    with_validation(folder)
    for name in names:
        write(folder / split / modalities[0] / f"{name}.tif", image)
        write(folder / split / modalities[1] / f"{name}.tif", label)


def with_validation(folder):
    """Let ``folder`` have a validation split, for which nothing of the others is held out."""
    (folder / "validation").mkdir(parents=True, exist_ok=True)


def expect(match, *args, **kwargs):
    with pytest.raises(DataError, match=match) as caught:
        pairs(*args, **kwargs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("alias", ["validation", "val", "valid"])
def test_validation_has_several_names(tmp_path, alias):
    for folder in ("image", "label"):
        write(tmp_path / alias / folder / "a.tif")
    assert len(pairs(str(tmp_path), "validation")) == 1


def test_deeprock_naming(tmp_path):
    with_validation(tmp_path)
    for name in ("0001", "0002"):
        write(tmp_path / "sandstone2D_train_HR" / f"{name}.tif", (32, 32))
        write(tmp_path / "sandstone2D_train_LR_default_X4" / f"{name}x4.tif", (8, 8))
        write(tmp_path / "sandstone2D_train_LR_unknown_X4" / f"{name}x4.tif", (8, 8))
    found = pairs(str(tmp_path), "train", scale=4, folders={"image": "unknown_X4", "label": "HR"})
    assert [r["name"] for r in found] == ["sandstone2D_0001", "sandstone2D_0002"]
    assert all("unknown_X4" in r["image"] and "_HR" in r["label"] for r in found)
    with pytest.raises(DataError, match="default_X4"):
        pairs(str(tmp_path), "train", scale=4)


def test_deeprock_has_a_folder_for_each_rock_and_one_of_all_shuffled(tmp_path):
    for rock in ("coal2D", "sandstone2D", "shuffled2D"):
        write(tmp_path / rock / f"{rock}_test_HR" / "0001.tif", (32, 32))
        write(tmp_path / rock / f"{rock}_test_LR_default_X4" / "0001x4.tif", (8, 8))
    folders = {"image": "default_X4", "label": "HR"}
    names = [record["name"] for record in pairs(str(tmp_path), "test", scale=4, folders=folders)]
    assert names == ["coal2D_0001", "sandstone2D_0001"]
    (alone,) = pairs(str(tmp_path / "shuffled2D"), "test", scale=4, folders=folders)
    assert alone["name"] == "shuffled2D_0001"


def test_folders_may_be_named_with_a_sample_or_a_path(tmp_path):
    for split in ("training", "testing"):
        write(tmp_path / split / "txm_A" / "TXM007.tif", (8, 8))
        write(tmp_path / split / "scans" / "sem_A" / "SEM007.tif", (8, 8))
    for split in ("train", "test"):
        (found,) = pairs(str(tmp_path), split, folders={"image": "txm_A", "label": "scans/sem_A"})
        assert found["name"] == "007"
        assert found["image"].endswith("txm_A/TXM007.tif") and found["label"].endswith("scans/sem_A/SEM007.tif")


@pytest.mark.parametrize("sample", ["", "_shale1"])
def test_modalities_and_masks_named_each_in_its_own_way(tmp_path, sample):
    named = {
        "image": ("txm", "TXM"),
        "label": ("sem", "SEM"),
        "charge": ("charge", "charge"),
        "lowdensity": ("lowdensity", "SEM_dark"),
        "highdensity": ("highdensity", "SEM_light"),
    }
    with_validation(tmp_path / "images7")
    for folder, word in named.values():
        for number in ("001", "002", "010"):
            write(tmp_path / "images7" / "train" / f"{folder}{sample}" / f"{word}{number}.tif", (8, 8))
    folders = {key: f"{folder}{sample}" for key, (folder, _) in named.items()}
    found = pairs(tmp_path / "images7", folders=folders, patch_size=8)
    assert [record["name"] for record in found] == ["001", "002", "010"]
    for record in found:
        for key, (folder, word) in named.items():
            assert record[key].endswith(f"train/{folder}{sample}/{word}{record['name']}.tif")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_sample_rock_has_every_mask(split):
    masks = ("charge", "lowdensity", "highdensity")
    folders = {"image": "txm", "label": "sem"} | {key: key for key in masks}
    found = pairs(sample_rock(spatial_dims=2, scale=1), split, folders=folders)
    assert [record["name"] for record in found] == [f"rock_{n:03d}" for n in range(8 if split == "train" else 2)]
    for key in masks:
        assert set(np.unique(tifffile.imread(found[0][key]))) == {0, 1}


def test_a_misspelt_image_folder_is_not_replaced_by_the_label(tmp_path):
    make(tmp_path, ["a"], modalities=("txm", "sem"))
    expect("no folder 'tmx' for 'image'; it holds sem/, txm/", tmp_path, folders={"image": "tmx", "label": "sem"})


def test_the_label_stands_in_for_a_missing_image(tmp_path, caplog):
    with_validation(tmp_path)
    for name in "ab":
        write(tmp_path / "train" / "label" / f"{name}.tif", (16, 16))
    with caplog.at_level("INFO", "rockmonai"):
        found = pairs(tmp_path, "train", scale=4)
    assert [r["image"] == r["label"] for r in found] == [True, True]
    assert [r.getMessage().partition(":")[0] for r in caplog.records] == ["train"]
    assert "2 of 2 images are as large as their labels" in caplog.text


@pytest.mark.parametrize(("scale", "label"), [(1, "of its own"), (4, "4 times as fine")])
def test_where_nothing_is_degraded_the_label_does_not_stand_in(tmp_path, scale, label):
    with_validation(tmp_path)
    write(tmp_path / "train" / "label" / "a.tif", (16, 16))
    expect(rf"label/a\.tif has no label {label}: an evaluation needs pairs", tmp_path, scale=scale, degraded=False)
    make(tmp_path / "fine", ["a"], image=(16, 16))
    refused = scale > 1
    if refused:
        expect(f"has no label {label}", tmp_path / "fine", scale=scale, degraded=False)
    else:
        assert len(pairs(tmp_path / "fine", scale=scale, degraded=False)) == 1


def test_no_notice_where_the_images_are_coarser(tmp_path, caplog):
    make(tmp_path, ["a"])
    with caplog.at_level("INFO", "rockmonai"):
        pairs(tmp_path, "train", scale=2)
    assert not caplog.records


def test_dataset_within_a_file(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["tomo/data"] = np.ones((32, 8, 8), np.uint8)
        file["other"] = np.ones((4, 4, 4), np.uint8)
    (found,) = pairs(f"{tmp_path}/scan.h5::tomo/data", "test", spatial_dims=3, patch_size=4)
    assert found["name"] == "scan"
    assert found["image"] == found["label"] == f"{tmp_path}/scan.h5::tomo/data"
    assert found["roi"] == [[28, 32], [0, 8], [0, 8]]


def write_slices(folder, count, shape=(16, 16)):
    for z in range(count):
        write(folder / f"slice{z}.tif", shape)


def test_folder_of_slices_is_one_volume_for_a_3d_model(tmp_path):
    write_slices(tmp_path / "scan", 32)
    (found,) = pairs(tmp_path / "scan", "validation", spatial_dims=3)
    assert found["label"] == str(tmp_path / "scan") and found["roi"] == [[24, 28], [0, 16], [0, 16]]
    assert len(pairs(tmp_path / "scan", "validation", spatial_dims=2)) == 4


def test_sub_folders_of_slices_are_volumes(tmp_path):
    with_validation(tmp_path)
    for name in ("rock1", "rock2"):
        write_slices(tmp_path / "train" / "image" / name, 4, (8, 8))
        write_slices(tmp_path / "train" / "label" / name, 8)
    found = pairs(tmp_path, scale=2, spatial_dims=3, patch_size=8)
    assert [r["name"] for r in found] == ["rock1", "rock2"]
    assert found[1]["image"] == str(tmp_path / "train" / "image" / "rock2")


def test_whole_images_of_a_volume_are_its_slices_for_a_2d_model(tmp_path):
    write(tmp_path / "test" / "image" / "scan.tif", (11, 8, 8))
    write(tmp_path / "test" / "label" / "scan.tif", (11, 16, 16))
    found = pairs(tmp_path, "test", scale=2)
    assert [r["name"] for r in found] == [f"scan_z{z:04d}" for z in range(11)]
    assert [r["roi"] for r in found] == [[[z, z + 1], [0, 16], [0, 16]] for z in range(11)]
    assert len({r["label"] for r in found}) == 1
    assert [r["name"] for r in pairs(tmp_path, "test", scale=2, patch_size=16)] == ["scan"]


def test_a_slice_is_read_as_an_image(tmp_path):
    scan = np.random.default_rng(0).integers(0, 255, (16, 9, 10), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "scan.tif", scan, photometric="minisblack")
    last = pairs(tmp_path / "scan.tif", "test", scale=1)[-1]
    whole = RandPairedCropd(["image", "label"], patch_size=None, spatial_dims=2)
    read = whole(OpenVolumed(["image", "label"])(last))
    assert np.array_equal(read["image"], scan[None, 15]) and np.array_equal(read["label"], scan[None, 15])


def test_whole_images_of_a_volume_stay_in_its_region(tmp_path):
    scan = write(tmp_path / "scan.tif", (16, 8, 8))
    assert [r["roi"][0] for r in pairs(scan, "test")] == [[14, 15], [15, 16]]
    listed = {"test": [{"label": "scan.tif", "roi": [[3, 5], [0, 4], [2, 8]]}]}
    (tmp_path / "set.json").write_text(json.dumps(listed))
    found = pairs(tmp_path / "set.json", "test")
    assert [r["roi"] for r in found] == [[[3, 4], [0, 4], [2, 8]], [[4, 5], [0, 4], [2, 8]]]


def test_whole_volumes_stay_whole_for_a_3d_model(tmp_path):
    write(tmp_path / "test" / "label" / "scan.tif", (8, 8, 8))
    (found,) = pairs(tmp_path, "test", spatial_dims=3)
    assert "roi" not in found


def test_missing_folder(tmp_path):
    expect("There is no data set", str(tmp_path / "nowhere"))


def test_empty_folder_says_what_is_there(tmp_path):
    make(tmp_path, [])
    (tmp_path / "train" / "image").mkdir(parents=True)
    (tmp_path / "train" / "label").mkdir()
    (tmp_path / "train" / "image" / "notes.docx").touch()
    expect("no images in .*image; it holds notes.docx", str(tmp_path))


def test_missing_partner_is_named(tmp_path):
    make(tmp_path, ["a", "b"])
    (tmp_path / "train" / "label" / "b.tif").unlink()
    expect("1 of 2 images in .*image have no partner in .*label: b.tif", str(tmp_path), scale=2)


def test_size_that_is_no_multiple(tmp_path):
    make(tmp_path, ["a"], image=(8, 8), label=(31, 32))
    expect("31 x 32 is not 4 times the image of 8 x 8; crop the label to 32 x 32", str(tmp_path), scale=4)


def test_unlike_dtypes(tmp_path):
    make(tmp_path, ["a", "b"])
    write(tmp_path / "train" / "image" / "b.tif", (8, 8), np.uint16)
    expect("uint16, while 'a' is uint8", str(tmp_path), scale=2)


def test_nan_voxels(tmp_path):
    make(tmp_path, ["a"])
    bad = np.zeros((16, 16), np.float32)
    bad[3, 5] = np.nan
    tifffile.imwrite(tmp_path / "train" / "label" / "a.tif", bad)
    expect("NaN", str(tmp_path), scale=2)


def test_smaller_than_the_patch(tmp_path):
    make(tmp_path, ["a"])
    expect("16 x 16, smaller than a patch of 32 x 32", str(tmp_path), scale=2, patch_size=32)


def test_slice_for_a_3d_model(tmp_path):
    make(tmp_path, ["a"])
    expect("one slice of 16 x 16 pixels, but the model is 3D", str(tmp_path), scale=2, spatial_dims=3)


def test_missing_split_lists_the_folder(tmp_path):
    make(tmp_path, ["a"])
    expect("no folder 'test'; it holds train/, validation/", str(tmp_path), "test")


def test_slices_of_a_volume_need_as_many_on_both_sides(tmp_path):
    write(tmp_path / "train" / "image" / "a.tif", (4, 8, 8))
    write(tmp_path / "train" / "label" / "a.tif", (8, 16, 16))
    assert len(pairs(tmp_path, scale=2, spatial_dims=3)) == 1
    expect("8 x 16 x 16 is not 2 times the image of 4 x 8 x 8; crop the label to 4 x 16 x 16", tmp_path, scale=2)


@pytest.mark.parametrize("key", ["image", "label"])
def test_several_channels(tmp_path, key):
    make(tmp_path, ["a"])
    size = 8 if key == "image" else 16
    several = np.ones((2, size, size), np.uint8)
    tifffile.imwrite(tmp_path / "train" / key / "a.tif", several, imagej=True, metadata={"axes": "CYX"})
    expect(f"train/{key}/a.tif has 2 channels, the model expects 1", tmp_path, scale=2)


def test_a_single_scan_has_no_masks(tmp_path):
    scan = write(tmp_path / "scan.tif", (8, 8, 8))
    expect("single scan without 'charge'", scan, folders={"image": "image", "label": "label", "charge": "charge"})


def test_folders_without_a_label(tmp_path):
    with pytest.raises(UsageError, match="folders names image; it needs 'image' and 'label'"):
        pairs(tmp_path, folders={"image": "txm"})


def test_masks_are_matched_and_checked_where_there_are_any(tmp_path):
    with_validation(tmp_path)
    for folder in ("txm", "sem", "charge"):
        write(tmp_path / "train" / folder / f"{folder}001.tif", (16, 16))
    options = {"folders": {"image": "txm", "label": "sem"}, "masks": {"charge": "charge", "lowdensity": "low"}}
    (record,) = pairs(tmp_path, **options)
    assert set(record) == {"name", "image", "label", "charge"}
    write(tmp_path / "train" / "charge" / "charge001.tif", (8, 16))
    with pytest.raises(DataError, match="charge of 8 x 16"):
        pairs(tmp_path, **options)
    (tmp_path / "list.json").write_text('{"train": [{"label": "train/sem/sem001.tif"}]}')
    (record,) = pairs(tmp_path / "list.json", **options)
    assert "charge" not in record


def test_masks_may_stand_for_the_label_that_is_made_of_them(tmp_path):
    with_validation(tmp_path)
    folders = {"image": "sem", "lowdensity": "low", "highdensity": "high"}
    for folder in folders.values():
        write(tmp_path / "train" / folder / f"{folder}001.tif", (16, 16))
    options = {"folders": folders, "reference": "image"}
    (record,) = pairs(tmp_path, patch_size=16, **options)
    assert set(record) == {"name", *folders}
    expect("sem/sem001.tif is 16 x 16, smaller than a patch of 32 x 32", tmp_path, patch_size=32, **options)
    listed = {key: f"train/{folder}/{folder}001.tif" for key, folder in folders.items()}
    (tmp_path / "list.json").write_text(json.dumps({"train": [listed]}))
    (record,) = pairs(tmp_path / "list.json", **options)
    assert record["name"] == "sem001" and set(record) == {"name", *folders}
    (tmp_path / "list.json").write_text(json.dumps({"train": [{"lowdensity": "a.tif", "highdensity": "a.tif"}]}))
    expect("names no file for 'image'", tmp_path / "list.json", **options)
    write(tmp_path / "train" / "low" / "low001.tif", (8, 16))
    expect(
        "the image of 16 x 16 is not 1 times the lowdensity of 8 x 16; crop the image to 8 x 16", tmp_path, **options
    )


def test_a_flat_folder_has_no_masks(tmp_path):
    write(tmp_path / "a.tif", (16, 16))
    folders = {"image": "image", "lowdensity": "low"}
    expect("has no folder 'low' for 'lowdensity'", tmp_path, folders=folders, reference="image")


def test_what_is_painted_in_colours_is_kept_and_its_image_weighed(tmp_path):
    grey = {"image": "luma", "label": "keep"}
    for key in ("image", "label"):
        (tmp_path / "test" / key).mkdir(parents=True)
        for name, colours in (("a", (1, 2, 3)), ("b", (4, 4, 4))):
            pixels = np.full((16, 16, 3), colours, np.uint8)
            tifffile.imwrite(tmp_path / "test" / key / f"{name}.tif", pixels, photometric="rgb")
    write(tmp_path / "test" / "label" / "b.tif", (16, 16))  # class numbers
    assert [record["name"] for record in pairs(tmp_path, "test", grey=grey)] == ["a", "b"]
    expect("image/a.tif is a colour image", tmp_path, "test", grey={"label": "keep"})
    expect("label/a.tif is a colour image", tmp_path, "test", grey={"image": "luma"})
    expect("colour image", tmp_path, "test")
    assert len(pairs(tmp_path, "test", grey="luma")) == 2
    several = np.ones((2, 16, 16), np.uint8)
    tifffile.imwrite(tmp_path / "test" / "label" / "b.tif", several, imagej=True, metadata={"axes": "CYX"})
    expect("label/b.tif has 2 channels", tmp_path, "test", grey=grey)


def test_an_info_bar_is_in_no_part_of_an_image(tmp_path):
    image = write(tmp_path / "a.tif", (20, 8))
    rows = [pairs(image, split, info_bar=4)[0]["roi"][0] for split in ("train", "validation", "test")]
    assert rows == [[0, 12], [12, 14], [14, 16]]
    write(tmp_path / "set" / "test" / "label" / "a.tif", (20, 8))
    (found,) = pairs(tmp_path / "set", "test", info_bar=4, patch_size=8)
    assert found["roi"] == [[0, 16], [0, 8]]
    listed = {
        "test": [{"label": "a.tif", "roi": [[10, 20], [2, 8]]}],
        "train": [{"label": "a.tif", "roi": [[17, 20], [0, 8]]}],
    }
    (tmp_path / "set.json").write_text(json.dumps(listed))
    assert pairs(tmp_path / "set.json", "test", info_bar=4)[0]["roi"] == [[10, 16], [2, 8]]
    expect("roi of .* is 0 x 8, smaller than a patch", tmp_path / "set.json", info_bar=4)
    expect("20 rows, of which an info bar of 20 leaves no image; pass", tmp_path / "set", "test", info_bar=20)
    expect("is 4 x 8, smaller than a patch of 8 x 8", tmp_path / "set", "test", info_bar=16, patch_size=8)


def test_every_slice_of_a_volume_has_its_info_bar(tmp_path):
    write(tmp_path / "test" / "label" / "a.tif", (4, 20, 8))
    assert pairs(tmp_path, "test", spatial_dims=3, info_bar=4)[0]["roi"] == [[0, 4], [0, 16], [0, 8]]
    assert pairs(tmp_path, "test", info_bar=4)[0]["roi"] == [[0, 1], [0, 16], [0, 8]]


def test_the_shale_without_its_info_bar(real_data):
    keys, grey = ["image", "label"], {"image": "luma", "label": "keep"}
    options = {"folders": {"image": "images", "label": "labels"}, "grey": grey, "info_bar": 80}
    found = [pairs(real_data / "shale_sem", split, **options) for split in ("train", "validation", "test")]
    assert [[record["name"] for record in records] for records in found] == [["1", "2", "3"], ["4"], ["1"]]
    (record,) = found[2]
    read = WholeImaged(keys, spatial_dims=2)(OpenVolumed(keys, grey)(record))
    assert read["image"].shape == (1, 688, 1024) and read["label"].shape == (3, 688, 1024)
    (left_out,) = pairs(real_data / "shale_sem", "test", fold=4, **options)
    assert left_out == record | {"name": "test_1"}
