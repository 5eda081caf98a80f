from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from rockmonai.data import pairs
from rockmonai.errors import DataError


def write(path, shape, dtype=np.uint8, value=7):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.full(shape, value, dtype), photometric="minisblack")
    return path


def make(folder, names, image=(8, 8), label=(16, 16), split="train", modalities=("image", "label")):
    for name in names:
        write(folder / split / modalities[0] / f"{name}.tif", image)
        write(folder / split / modalities[1] / f"{name}.tif", label)


def test_folders_are_matched_by_name(tmp_path):
    make(tmp_path, ["b2", "b10", "b1"])
    found = pairs(str(tmp_path), "train", scale=2)
    assert [r["name"] for r in found] == ["1", "10", "2"] or [r["name"] for r in found] == ["1", "2", "10"]
    assert all(r["image"].replace("image", "label") == r["label"] for r in found)


def test_modalities_with_names_of_their_own_match_by_number(tmp_path):
    for number in ("001", "002", "010"):
        write(tmp_path / "train" / "txm" / f"TXM{number}.tif", (16, 16))
        write(tmp_path / "train" / "sem" / f"SEM_dark{number}.tif", (16, 16))
    found = pairs(str(tmp_path), "train", folders={"image": "txm", "label": "sem"})
    assert [(r["image"][-7:], r["label"][-7:]) for r in found] == [(f"{n}.tif",) * 2 for n in ("001", "002", "010")]


@pytest.mark.parametrize("alias", ["validation", "val", "valid"])
def test_validation_has_several_names(tmp_path, alias):
    make(tmp_path, ["a"], split=alias)
    assert len(pairs(str(tmp_path), "validation", scale=2)) == 1


def test_deeprock_naming(tmp_path):
    for name in ("0001", "0002"):
        write(tmp_path / "sandstone2D_train_HR" / f"{name}.tif", (32, 32))
        write(tmp_path / "sandstone2D_train_LR_default_X4" / f"{name}x4.tif", (8, 8))
        write(tmp_path / "sandstone2D_train_LR_unknown_X4" / f"{name}x4.tif", (8, 8))
    found = pairs(str(tmp_path), "train", scale=4, folders={"image": "unknown_X4", "label": "HR"})
    assert [r["name"] for r in found] == ["sandstone2D_0001", "sandstone2D_0002"]
    assert all("unknown_X4" in r["image"] and "_HR" in r["label"] for r in found)
    with pytest.raises(DataError, match="default_X4"):
        pairs(str(tmp_path), "train", scale=4)


def test_json_lists_name_files_and_regions(tmp_path):
    write(tmp_path / "a.tif", (8, 16, 16))
    listed = {
        "train": [{"label": "a.tif", "roi": [[0, 4], [0, 16], [0, 16]]}],
        "test": [{"label": "a.tif", "image": "a.tif"}],
    }
    (tmp_path / "set.json").write_text(json.dumps(listed))
    found = pairs(str(tmp_path / "set.json"), "train", scale=2, spatial_dims=3)
    assert found[0]["image"] == found[0]["label"] == str(tmp_path / "a.tif")
    assert found[0]["roi"] == [[0, 4], [0, 16], [0, 16]]
    with pytest.raises(DataError, match="no 'validation' records; it has train, test"):
        pairs(str(tmp_path / "set.json"), "validation")


def test_one_volume_is_cut_into_parts_that_do_not_overlap(tmp_path):
    scan = write(tmp_path / "scan.tif", (64, 16, 16))
    parts = [
        pairs(str(scan), split, scale=2, spatial_dims=3, patch_size=8)[0]["roi"]
        for split in ("train", "validation", "test")
    ]
    assert [part[0] for part in parts] == [[0, 48], [48, 56], [56, 64]]
    assert all(part[1:] == [[0, 16], [0, 16]] for part in parts)


def test_plain_images_are_held_out_by_file(tmp_path):
    for number in range(8):
        write(tmp_path / f"s{number}.tif", (16, 16))
    named = {split: [r["name"] for r in pairs(str(tmp_path), split)] for split in ("train", "validation", "test")}
    assert named == {"train": list("012345"), "validation": ["6"], "test": ["7"]}


def expect(match, *args, **kwargs):
    with pytest.raises(DataError, match=match) as caught:
        pairs(*args, **kwargs)
    assert "\n" not in str(caught.value)


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
    expect("31x32 is not 4 times the image of 8x8; crop the label to 32x32", str(tmp_path), scale=4)


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
    expect("16x16, smaller than a patch of 32x32", str(tmp_path), scale=2, patch_size=32)


def test_slice_for_a_3d_model(tmp_path):
    make(tmp_path, ["a"])
    expect("one slice of 16x16 pixels, but the model is 3D", str(tmp_path), scale=2, spatial_dims=3)


def test_missing_split_lists_the_folder(tmp_path):
    make(tmp_path, ["a"])
    expect("no folder 'test'; it holds train/", str(tmp_path), "test")
