from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from rockmonai.errors import DataError
from rockmonai.volumes import open_volume

STACK = np.random.default_rng(0).integers(0, 256, (12, 20, 16)).astype(np.uint8)


def save_slices(folder: Path, suffix: str, **how: Any) -> None:
    for number, plane in enumerate(STACK):
        name = folder / f"slice{number}{suffix}"  # slice10 sorts before slice2 as text
        if suffix == ".tif":
            tifffile.imwrite(name, plane, photometric="minisblack", **how)
        else:
            Image.fromarray(plane).save(name)


@pytest.mark.parametrize(
    ("suffix", "how"), [(".tif", {}), (".tif", {"compression": "zlib"}), (".tif", {"byteorder": ">"}), (".png", {})]
)
def test_slices_form_a_volume_in_natural_order(tmp_path: Path, suffix: str, how: dict[str, Any]) -> None:
    save_slices(tmp_path, suffix, **how)
    (tmp_path / "notes.txt").write_text("scanned on a Monday")
    (tmp_path / ".DS_Store").write_bytes(b"")
    volume = open_volume(tmp_path)
    assert (volume.shape, volume.dtype) == ((1, 12, 20, 16), np.uint8)
    assert np.array_equal(volume[:, 1:11, 5:9, ::3], STACK[None, 1:11, 5:9, ::3])


def test_reads_only_the_slices_that_are_asked(tmp_path: Path) -> None:
    save_slices(tmp_path, ".tif")
    volume = open_volume(tmp_path)
    (tmp_path / "slice7.tif").unlink()
    assert np.array_equal(volume[0, :7], STACK[:7])
    with pytest.raises(DataError):
        volume[0, 7]


def test_colour_slices_with_equal_channels_are_grey(tmp_path: Path) -> None:
    for number, plane in enumerate(STACK):
        Image.fromarray(plane).convert("RGB").save(tmp_path / f"{number}.png")
    assert np.array_equal(open_volume(tmp_path).read()[0], STACK)


def test_an_empty_folder_tells_what_it_holds(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "c.txt"):
        (tmp_path / name).write_text("")
    with pytest.raises(DataError, match=r"holds no TIFF, PNG or JPG slices \(found 2 \*.csv, 1 \*.txt\)"):
        open_volume(tmp_path)


def test_two_formats_in_a_folder_are_refused(tmp_path: Path) -> None:
    save_slices(tmp_path, ".tif")
    Image.fromarray(STACK[0]).save(tmp_path / "preview.png")
    with pytest.raises(DataError, match=r"mixes image formats \(found 12 \*.tif, 1 \*.png\)"):
        open_volume(tmp_path)


@pytest.mark.parametrize("odd", [STACK[3, :-1], STACK[3].astype(np.uint16)], ids=["shape", "dtype"])
def test_a_slice_unlike_the_first_is_named(tmp_path: Path, odd: np.ndarray) -> None:
    save_slices(tmp_path, ".tif")
    tifffile.imwrite(tmp_path / "slice3.tif", odd, photometric="minisblack")
    with pytest.raises(DataError, match=r"slice3.tif is .* but slice0.tif is \(20, 16\) uint8"):
        open_volume(tmp_path)


def test_a_truncated_slice_is_named(tmp_path: Path) -> None:
    save_slices(tmp_path, ".tif")
    whole = (tmp_path / "slice5.tif").read_bytes()
    (tmp_path / "slice5.tif").write_bytes(whole[:-100])
    with pytest.raises(DataError, match=r"slice5.tif is truncated: page 1 of 1 has 220 of 320 bytes"):
        open_volume(tmp_path)


def test_a_stack_among_slices_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", STACK, photometric="minisblack")
    with pytest.raises(DataError, match="stack of 12 pages, not a slice"):
        open_volume(tmp_path)
