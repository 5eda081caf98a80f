from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from rockmonai.errors import OutputError
from rockmonai.volumes import create_volume, open_volume
from rockmonai.volumes.folder import slice_names


def rock(dtype: str, depth: int = 12) -> np.ndarray:
    return (np.random.default_rng(0).random((1, depth, 20, 16)) * 200).astype(dtype)


def write(path: Path, array: np.ndarray) -> None:
    with create_volume(path, array.shape, array.dtype, (3.0, 2.0, 1.0)) as volume:
        volume[:, 5:, :, :7] = array[:, 5:, :, :7]
        volume[:, 5:, :, 7:] = array[:, 5:, :, 7:]
        volume[:, :5] = array[:, :5]


@pytest.mark.parametrize(("dtype", "suffix"), [("u1", ".png"), ("u2", ".png"), ("i2", ".tif"), ("f4", ".tif")])
def test_a_name_without_an_ending_is_a_folder_of_slices(tmp_path: Path, dtype: str, suffix: str) -> None:
    array = rock(dtype)
    write(tmp_path / "slices", array)
    assert sorted(p.name for p in (tmp_path / "slices").iterdir()) == [f"{n:03d}{suffix}" for n in range(12)]
    read = tifffile.imread if suffix == ".tif" else lambda path: np.asarray(Image.open(path))
    assert np.array_equal(read(tmp_path / "slices" / f"007{suffix}"), array[0, 7])
    back = open_volume(tmp_path / "slices")
    assert back.dtype == array.dtype and np.array_equal(back.read(), array)
    assert not list(tmp_path.glob(".*"))


def test_slices_keep_their_spacing(tmp_path: Path) -> None:
    write(tmp_path / "slices", rock("u1"))
    assert open_volume(tmp_path / "slices" / "003.png").spacing == pytest.approx((2.0, 1.0), rel=1e-4)


def test_a_thousand_slices_and_one_sort_as_text(tmp_path: Path) -> None:
    with create_volume(tmp_path / "slices", (1, 1001, 1, 2), "u1") as volume:
        volume[...] = np.uint8(7)
    names = sorted(p.name for p in (tmp_path / "slices").iterdir())
    assert names[0] == "0000.png" and names[-1] == "1000.png"


def test_an_exception_leaves_nothing_and_an_existing_folder_is_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), create_volume(tmp_path / "slices", (1, 3, 4, 5), "u1"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    write(tmp_path / "slices", rock("u1"))
    with pytest.raises(OutputError, match="slices exists"):
        create_volume(tmp_path / "slices", (1, 3, 4, 5), "u1")
    with create_volume(tmp_path / "slices", (1, 3, 4, 5), "u1", overwrite=True) as volume:
        volume[...] = np.uint8(9)
    assert len(list((tmp_path / "slices").iterdir())) == 3


@pytest.mark.parametrize("shape", [(1, 4, 5), (2, 3, 4, 5)], ids=["image", "channels"])
def test_what_is_no_grey_volume_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(OutputError, match=r"slices without an ending is a folder of grey slices.* such as \.tif"):
        create_volume(tmp_path / "slices", shape, "u1")
    assert not list(tmp_path.iterdir())


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    write(tmp_path / "project", rock("u1"))
    with create_volume(tmp_path / "project", (1, 2, 3, 4), "u1", overwrite=True) as volume:
        volume[...] = np.uint8(7)
    assert len(list((tmp_path / "project").iterdir())) == 2
    (tmp_path / "project" / "thesis.docx").write_text("years")
    with pytest.raises(OutputError, match=r"holds more than numbered slices \(thesis\.docx\) and is not replaced"):
        create_volume(tmp_path / "project", (1, 2, 3, 4), "u1", overwrite=True)
    assert (tmp_path / "project" / "thesis.docx").read_text() == "years"


def test_slices_take_the_names_that_they_are_given(tmp_path: Path) -> None:
    array, names = rock("u1", 3), ["TXM9", "TXM10", "b.v2"]
    for _ in range(2):  # the second replaces the first, whose slices have the same names
        with create_volume(tmp_path / "slices", array.shape, "u1", names=names, overwrite=True) as volume:
            volume[:] = array
    assert {p.name for p in (tmp_path / "slices").iterdir()} == {"TXM9.png", "TXM10.png", "b.v2.png"}
    assert np.array_equal(np.asarray(Image.open(tmp_path / "slices" / "b.v2.png")), array[0, 2])
    assert slice_names(tmp_path / "slices") == ["b.v2", "TXM9", "TXM10"]
    with pytest.raises(OutputError, match=r"holds more than numbered slices \(TXM10.png\)"):
        create_volume(tmp_path / "slices", array.shape, "u1", names=["TXM9", "b.v2", "other"], overwrite=True)
    with pytest.raises(OutputError, match="3 names do not fit 4 slices"):
        create_volume(tmp_path / "more", (1, 4, 5, 6), "u1", names=names)


def test_what_is_no_folder_of_slices_or_has_names_twice_has_no_names(tmp_path: Path) -> None:
    assert slice_names(tmp_path) is None and slice_names("rock.h5::data") is None
    for name in ("a.png", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    assert slice_names(tmp_path) is None


def test_colours_are_slices_of_red_green_and_blue(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 4, 20, 16), dtype=np.uint8)
    with create_volume(tmp_path / "slices", array.shape, "u1", colour=True) as volume:
        volume[:, 2:, 5:] = array[:, 2:, 5:]
        volume[:, 2:, :5] = array[:, 2:, :5]
        volume[:, :2] = array[:, :2]
    picture = Image.open(tmp_path / "slices" / "003.png")
    assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), array[:, 3].transpose(1, 2, 0))
