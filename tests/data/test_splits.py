from __future__ import annotations

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


def test_unknown_split(tmp_path):
    with pytest.raises(UsageError, match=r"no split 'tests' \(did you mean 'test'"):
        pairs(tmp_path, "tests")
