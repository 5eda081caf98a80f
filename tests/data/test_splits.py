from __future__ import annotations

import json

import pytest

from rockmonai.data import pairs
from rockmonai.errors import DataError, UsageError
from tests.data.images import write

SPLITS = ("train", "validation", "test")


def parts(path, **options):
    """Return, for each split, the files and regions that it uses."""
    return [[(r["name"], r.get("roi")) for r in pairs(path, split, **options)] for split in SPLITS]


@pytest.mark.parametrize(
    ("size", "holdout", "scale", "borders"),
    [
        (64, 0.25, 2, [48, 56]),
        (100, 0.25, 4, [72, 88]),  # 75 and 87.5 (to even: 88) on multiples of 4
        (100, 0.5, 1, [50, 75]),
        (30, 0.4, 3, [18, 24]),
    ],
)
@pytest.mark.parametrize("patch_size", [1, 6])
def test_one_volume_is_cut_in_three(tmp_path, size, holdout, scale, borders, patch_size):
    scan = write(tmp_path / "scan.tif", (size, 12, 12))
    found = parts(scan, holdout=holdout, scale=scale, spatial_dims=3, patch_size=patch_size)
    first, second = borders
    spans = [[0, first], [first, second], [second, size]]
    assert found == [[("scan", [span, [0, 12], [0, 12]])] for span in spans]


def test_one_image_is_cut_along_its_rows(tmp_path):
    image = write(tmp_path / "image.png.tif", (64, 20))
    rois = [found[0][1] for found in parts(image, patch_size=8)]
    assert rois == [[[0, 48], [0, 20]], [[48, 56], [0, 20]], [[56, 64], [0, 20]]]


def test_one_pair_in_folders_is_cut_like_one_volume(tmp_path):
    write(tmp_path / "image" / "a.tif", (8, 4, 4))
    write(tmp_path / "label" / "a.tif", (16, 8, 8))
    found = parts(tmp_path, scale=2, spatial_dims=3)
    assert [found[0][1][0] for found in found] == [[0, 12], [12, 14], [14, 16]]


def test_two_files_train_on_the_first_and_share_the_second(tmp_path):
    write(tmp_path / "a.tif", (10, 8, 8))
    write(tmp_path / "b.tif", (10, 8, 8))
    plane = [[0, 8], [0, 8]]
    assert parts(tmp_path, scale=4, spatial_dims=3) == [
        [("a", None)],
        [("b", [[0, 4], *plane])],
        [("b", [[4, 10], *plane])],
    ]


@pytest.mark.parametrize(
    ("count", "holdout", "sizes"),
    [(3, 0.25, (1, 1, 1)), (3, 0.9, (1, 1, 1)), (4, 0.25, (2, 1, 1)), (8, 0.25, (6, 1, 1)), (20, 0.25, (15, 2, 3))],
)
def test_files_are_held_out_from_the_end(tmp_path, count, holdout, sizes):
    for number in range(count):
        write(tmp_path / f"s{number}.tif")
    found = parts(tmp_path, holdout=holdout)
    assert tuple(map(len, found)) == sizes
    assert [*found[0], *found[1], *found[2]] == [(f"s{number}", None) for number in range(count)]


def write_splits(folder, **counts):
    for split, count in counts.items():
        for number in range(1, count + 1):
            write(folder / split / "label" / f"{number}.tif", (16, 8))
    return folder


@pytest.mark.parametrize(("count", "holdout", "kept"), [(4, 0.25, 1), (4, 0.5, 2), (2, 0.9, 1), (20, 0.25, 5)])
def test_the_last_of_the_training_folder_validate_where_no_folder_does(tmp_path, count, holdout, kept):
    train, validation, test = parts(write_splits(tmp_path, train=count, testing=2), holdout=holdout)
    assert train == [(str(number), None) for number in range(1, count - kept + 1)]
    assert validation == [(str(number), None) for number in range(count - kept + 1, count + 1)]
    assert test == [("1", None), ("2", None)]


def test_a_single_training_image_is_cut_where_no_folder_validates(tmp_path):
    train, validation, test = parts(write_splits(tmp_path, train=1, test=1))
    assert train == [("1", [[0, 12], [0, 8]])] and validation == [("1", [[12, 16], [0, 8]])]
    assert test == [("1", None)]


def test_a_training_folder_alone_is_split_like_plain_images(tmp_path):
    assert [[name for name, _ in part] for part in parts(write_splits(tmp_path, train=8))] == [
        ["1", "2", "3", "4", "5", "6"],
        ["7"],
        ["8"],
    ]


def test_a_validation_folder_keeps_all_of_the_training_folder(tmp_path):
    write_splits(tmp_path, train=3, val=1)
    assert [len(pairs(tmp_path, split)) for split in SPLITS[:2]] == [3, 1]
    with pytest.raises(DataError, match="no folder 'test'; it holds train/, val/"):
        pairs(tmp_path, "test")


@pytest.mark.parametrize("missing", SPLITS[:2])
def test_a_test_folder_alone_only_tests(tmp_path, missing):
    write_splits(tmp_path, test=3)
    assert len(pairs(tmp_path, "test")) == 3
    with pytest.raises(DataError, match=f"no folder '{missing}'; it holds test/"):
        pairs(tmp_path, missing)


def test_every_image_is_left_out_once(tmp_path):
    write_splits(tmp_path, train=10, test=1)
    names = [f"train_{number}" for number in range(1, 11)] + ["test_1"]
    for fold, name in enumerate(names):
        train, validation, test = parts(tmp_path, fold=fold)
        assert validation == test == [(name, None)]
        assert [one for one, _ in train] == [other for other in names if other != name]


def test_an_image_that_a_list_names_twice_is_left_out_of_both(tmp_path):
    write(tmp_path / "a.tif", (16, 16)), write(tmp_path / "b.tif", (16, 16))
    kept, judged = {"label": "a.tif"}, {"label": "b.tif"}
    (tmp_path / "set.json").write_text(json.dumps({"train": [kept], "validation": [judged], "test": [judged]}))
    found = [[name for name, _ in part] for part in parts(tmp_path / "set.json", fold=1)]
    assert found == [["a"], ["b"], ["b"]]


def test_names_that_differ_need_no_split(tmp_path):
    for name in "abc":
        write(tmp_path / f"{name}.tif")
    assert parts(tmp_path, fold=1) == [[("a", None), ("c", None)], [("b", None)], [("b", None)]]


@pytest.mark.parametrize("fold", [-1, 5, 0.5])
def test_a_fold_that_there_is_not(tmp_path, fold):
    write_splits(tmp_path, train=4, test=1)
    with pytest.raises(DataError, match=f"no image number {fold} to leave out of 5: pass a --fold from 0 to 4"):
        pairs(tmp_path, fold=fold)


def test_one_image_cannot_be_left_out(tmp_path):
    with pytest.raises(DataError, match="has 1 image, which leaves none to train on: leave --fold out"):
        pairs(write(tmp_path / "a.tif"), fold=0)


@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        (
            "train",
            "train part .*scan.tif is 12 x 12 x 12, smaller .*; pass a smaller --patch_size or --holdout",
        ),
        (
            "validation",
            "validation part .* is 2 x 12 x 12, smaller .*; pass a smaller .* or a larger --holdout",
        ),
        ("test", "test part .* is 2 x 12 x 12, smaller .*; pass a smaller --patch_size or a larger --holdout"),
    ],
)
def test_a_part_that_is_smaller_than_the_patch(tmp_path, split, sentence):
    scan = write(tmp_path / "scan.tif", (16, 12, 12))
    with pytest.raises(DataError, match=sentence):
        pairs(scan, split, spatial_dims=3, patch_size=13 if split == "train" else 4)


def test_a_2d_patch_needs_one_slice(tmp_path):
    scan = write(tmp_path / "scan.tif", (8, 12, 12))
    assert pairs(scan, "test", patch_size=12)[0]["roi"] == [[7, 8], [0, 12], [0, 12]]
    with pytest.raises(DataError, match=r"validation part .* is 0 x 12 x 12"):
        pairs(scan, "validation", scale=4, patch_size=12)


@pytest.mark.parametrize("holdout", [0, 1, -0.5, 25])
def test_holdout_is_a_share(tmp_path, holdout):
    with pytest.raises(UsageError, match=f"holdout is {holdout}"):
        pairs(tmp_path, "train", holdout=holdout)


def test_without_a_holdout_every_split_has_all(tmp_path):
    scan = write(tmp_path / "scan.tif", (16, 12, 12))
    for split in ("train", "validation", "test"):
        (record,) = pairs(scan, split, spatial_dims=3, holdout=None)
        assert "roi" not in record


def test_unknown_split(tmp_path):
    with pytest.raises(UsageError, match=r"no split 'tests' \(did you mean 'test'"):
        pairs(tmp_path, "tests")
