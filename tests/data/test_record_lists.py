from __future__ import annotations

import json

import pytest

from rockmonai.data import pairs
from rockmonai.errors import DataError
from tests.data.images import write


def listed(tmp_path, content, split="train", **options):
    """Return the pairs of a list beside the volume ``a.tif`` of 8x16x16 voxels."""
    write(tmp_path / "a.tif", (8, 16, 16))
    (tmp_path / "set.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return pairs(tmp_path / "set.json", split, **{"patch_size": 4, "spatial_dims": 3, **options})


def test_a_record_names_files_and_a_region(tmp_path):
    roi = [[0, 4], [0, 16], [8, 16]]
    (found,) = listed(tmp_path, {"train": [{"label": "a.tif", "roi": roi}]}, scale=2)
    assert found == {"name": "a", "image": str(tmp_path / "a.tif"), "label": str(tmp_path / "a.tif"), "roi": roi}


def test_a_record_may_have_a_name_and_more_keys(tmp_path):
    write(tmp_path / "more" / "c.tif", (8, 16, 16))
    record = {"name": "rock", "image": "a.tif", "label": "a.tif", "charge": "more/c.tif"}
    (found,) = listed(tmp_path, {"train": [record]}, folders={"image": "", "label": "", "charge": ""})
    assert found["name"] == "rock" and found["charge"] == str(tmp_path / "more" / "c.tif")


@pytest.mark.parametrize(
    ("name", "split"), [("training", "train"), ("val", "validation"), ("valid", "validation"), ("testing", "test")]
)
def test_splits_have_several_names(tmp_path, name, split):
    assert len(listed(tmp_path, {name: [{"label": "a.tif"}]}, split)) == 1


@pytest.mark.parametrize(("there", "wanted"), [("train", "validation"), ("validate", "train")])
def test_a_list_in_the_published_form_lacks_no_split(tmp_path, caplog, there, wanted):
    with caplog.at_level("INFO", "rockmonai"):
        (found,) = listed(tmp_path, {there: [{"path": "a.tif", "ROI0": [2, -1]}]}, wanted)
    assert found["roi"][0] == [2, 8]
    assert f"lists no '{wanted}' records: those of" in caplog.text


@pytest.mark.parametrize("content", [{"train": [{"path": "a.tif"}, {"label": "a.tif"}]}, {"test": [{"path": "a.tif"}]}])
def test_other_lists_do(tmp_path, content):
    with pytest.raises(DataError, match="lists no 'validation' records"):
        listed(tmp_path, content, "validation")


def test_the_records_of_all_lists_take_turns(tmp_path):
    half = [[[0, 4], [0, 16], [0, 16]], [[4, 8], [0, 16], [0, 16]]]
    content = {
        "test": [{"label": "a.tif", "roi": half[1]}],
        "training": [{"label": "a.tif", "roi": half[0]}],
        "val": [],
    }
    left_out = [listed(tmp_path, content, "test", fold=fold)[0] for fold in (0, 1)]
    assert [(one["name"], one["roi"]) for one in left_out] == [("train_a", half[0]), ("test_a", half[1])]
    (train,) = listed(tmp_path, content, fold=0)
    assert train == left_out[1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{'train': []}", r"set\.json is not JSON"),
        ([{"label": "a.tif"}], r"set\.json holds a list; write an object of lists"),
        ({"trian": [{"label": "a.tif"}]}, "lists no records of train, validation, test; it has trian"),
        ({"test": [{"label": "a.tif"}], "val": []}, "lists no 'train' records; it has test, val"),
        ({"train": {"label": "a.tif"}}, "'train' in .* is a dict; write a list of records"),
        ({"train": [{"label": "a.tif"}, "a.tif"]}, "Record 2 of 'train' in .* is a str; write an object"),
        ({"train": [{"image": "a.tif"}]}, "Record 1 of 'train' in .* names no file for 'label'; it has image"),
        ({"train": [{"label": 7}]}, "names no file for 'label'"),
        ({"train": [{"label": "b.tif"}]}, r"b\.tif does not exist"),
    ],
)
def test_what_is_no_list_of_records(tmp_path, content, sentence):
    with pytest.raises(DataError, match=sentence) as caught:
        listed(tmp_path, content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "roi",
    [
        [[0, 8], [0, 16]],
        [[0, 8], [0, 16], [0, 16], [0, 1]],
        [[0, 8], [0, 16], [0, 17]],
        [[-1, 8], [0, 16], [0, 16]],
        [[4, 4], [0, 16], [0, 16]],
        [[6, 2], [0, 16], [0, 16]],
        [[0, 8], [0, 16], [0, 8.5]],
        [[0, 8], [0, 16], [0, 8, 16]],
        [0, 8, 16],
        "all",
        None,
    ],
)
def test_regions_that_do_not_fit(tmp_path, roi):
    with pytest.raises(DataError, match=r"The region .* does not fit .*a\.tif of 8 x 16 x 16 voxels; give every axis"):
        listed(tmp_path, {"train": [{"label": "a.tif", "roi": roi}]})


def test_a_region_smaller_than_the_patch(tmp_path):
    with pytest.raises(DataError, match=r"The roi of .*a\.tif is 2 x 16 x 16, smaller than a patch of 4 x 4 x 4"):
        listed(tmp_path, {"train": [{"label": "a.tif", "roi": [[0, 2], [0, 16], [0, 16]]}]})
