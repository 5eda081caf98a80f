from __future__ import annotations

from pathlib import Path

import pytest

from rockmonai.data.matching import match
from rockmonai.errors import DataError


def matched(tmp_path, **names):
    """Return the matched stems, image first, of empty files of these names."""
    for folder, stems in names.items():
        (tmp_path / folder).mkdir()
        for stem in stems.split():
            (tmp_path / folder / f"{stem}.tif").touch()
    records = match({folder: tmp_path / folder for folder in names})
    return [tuple(Path(record[folder]).stem for folder in names) for record in records]


@pytest.mark.parametrize(
    "names",
    [
        "b1 b2 b10",
        "matrix1 matrix2 matrix3",
        "tile_y0_x0 tile_y0_x1 tile_y1_x0",
        "0001x2 0001x4",
        "pore grain clay",
        "sampleA_1 sampleB_1",
        "7",
    ],
)
def test_equal_names_match_whatever_they_look_like(tmp_path, names):
    assert sorted(matched(tmp_path, image=names, label=names)) == sorted((name, name) for name in names.split())


def test_records_come_in_natural_order_and_keep_their_name(tmp_path):
    for folder in ("image", "label"):
        (tmp_path / folder).mkdir()
        for name in ("b10", "b2"):
            (tmp_path / folder / f"{name}.tif").touch()
    found = match({folder: tmp_path / folder for folder in ("image", "label")})
    assert [record["name"] for record in found] == ["b2", "b10"]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("TXM001 TXM002 TXM010", "SEM_dark001 SEM_dark002 SEM_dark010"),
        ("0001x4 0002x4", "0001 0002"),
        ("7_LR 8_LR", "7_HR 8_HR"),
        ("txm_y0_x0 txm_y0_x1", "sem_y0_x0 sem_y0_x1"),
        ("txm1x4 txm2x4", "sem1 sem2"),
        ("TXM010", "SEM010"),
    ],
)
def test_words_of_a_modality_do_not_count(tmp_path, image, label):
    assert matched(tmp_path, image=image, label=label) == list(zip(image.split(), label.split(), strict=True))


def test_three_modalities(tmp_path):
    found = matched(tmp_path, txm="TXM1 TXM2", sem="SEM1 SEM2", charge="charge1 charge2")
    assert found == [("TXM1", "SEM1", "charge1"), ("TXM2", "SEM2", "charge2")]


@pytest.mark.parametrize(
    ("image", "label", "sentence"),
    [
        ("TXM1 TXM2 TXM3 overview", "SEM1 SEM2 SEM3", "1 of 4 images in .*image have no partner in .*label: overview"),
        ("TXM1 TXM2 TXM3", "SEM1 SEM2", r"1 of 3 images .*: TXM3\.tif"),
        ("a1 a2 a3", "a1 a2 a3 notes", r"1 of 4 images in .*label .*: notes\.tif"),
        ("a b c", "a b", r"1 of 3 .*: c\.tif"),
        ("tile_y0_x0", "tile_y0_x1", r"1 of 1 .*: tile_y0_x0\.tif"),
        ("sampleA_1 sampleA_2", "sampleA_1 sampleB_2", r"1 of 2 .*: sampleA_2\.tif"),
        ("sampleA_1 sampleA_2 sampleB_3", "sampleB_1 sampleB_2 sampleC_3", r"1 of 3 .*: sampleB_3\.tif"),
        ("0001x4 0002x3", "0001 0002", r"2 of 2 .*: 0001x4\.tif, 0002x3\.tif"),
    ],
)
def test_the_ones_without_partner_are_named(tmp_path, image, label, sentence):
    with pytest.raises(DataError, match=sentence):
        matched(tmp_path, image=image, label=label)


def test_two_files_of_one_name(tmp_path):
    (tmp_path / "a.tif").touch()
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match=r"Several images in .* are called 'a'"):
        match({"image": tmp_path, "label": tmp_path})


def test_equal_folders_may_have_no_files_but_folders_of_slices(tmp_path):
    for name in ("rock2", "rock10"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.tif").touch()
    (tmp_path / "empty").mkdir()
    assert [record["name"] for record in match({"label": tmp_path})] == ["rock2", "rock10"]
