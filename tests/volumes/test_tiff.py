from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from rockmonai.errors import DataError
from rockmonai.volumes import open_volume
from rockmonai.volumes.planes import Planes

STACK = np.random.default_rng(0).integers(0, 4096, (5, 48, 32)).astype(np.uint16)
GREY = {"photometric": "minisblack"}


def write(path: Path, array: np.ndarray, **how: Any) -> Path:
    tifffile.imwrite(path, array, **how)
    return path


@pytest.mark.parametrize(
    "how",
    [
        GREY,
        GREY | {"byteorder": ">"},
        GREY | {"bigtiff": True},
        GREY | {"compression": "zlib"},
        GREY | {"compression": "lzw", "predictor": True},
        GREY | {"compression": "zstd", "tile": (16, 16)},
        GREY | {"tile": (16, 16)},
        GREY | {"rowsperstrip": 7, "compression": "zlib"},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "ZYX"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_reads_what_tifffile_writes(tmp_path: Path, how: dict[str, Any], dtype: str) -> None:
    stack = STACK.astype(dtype)
    volume = open_volume(write(tmp_path / "rock.tif", stack, **how))
    assert (volume.shape, volume.dtype) == ((1, 5, 48, 32), np.dtype(dtype))
    assert volume.dtype.isnative
    assert np.array_equal(volume.read()[0], stack)
    assert np.array_equal(volume[:, 1:4, 5:40:3, 30:], stack[None, 1:4, 5:40:3, 30:])


@pytest.mark.parametrize("compression", [None, "tiff_deflate"])
def test_reads_pages_with_directories_between_them(tmp_path: Path, compression: str | None) -> None:
    pages = [Image.fromarray(page.astype(np.uint8)) for page in STACK]
    pages[0].save(tmp_path / "rock.tif", save_all=True, append_images=pages[1:], compression=compression)
    assert np.array_equal(open_volume(tmp_path / "rock.tif")[:, 1:3, 4:7], STACK.astype(np.uint8)[None, 1:3, 4:7])


def test_keeps_float64(tmp_path: Path) -> None:
    fine = 1 + STACK * np.finfo(np.float64).eps
    assert np.array_equal(open_volume(write(tmp_path / "rock.tif", fine, **GREY)).read()[0], fine)


def test_maps_uncompressed_pixels_instead_of_reading_them(tmp_path: Path) -> None:
    path = write(tmp_path / "rock.tif", STACK, **GREY)
    volume = open_volume(path)
    with open(path, "r+b") as file:  # a change behind the open volume is seen: nothing had been read
        file.seek(tifffile.TiffFile(path).pages[2].dataoffsets[0])
        file.write(b"\xff\xff")
    assert volume[0, 2, 0, 0] == 65535


def test_decodes_only_the_tiles_that_are_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "rock.tif", STACK, **GREY, tile=(16, 16), compression="zlib")
    page = tifffile.TiffFile(path).pages[3]
    with open(path, "r+b") as file:  # destroy the last tile of the page
        file.seek(page.dataoffsets[-1])
        file.write(bytes(page.databytecounts[-1]))
    volume = open_volume(path)
    assert np.array_equal(volume[0, 3, :32, :16], STACK[3, :32, :16])
    with pytest.raises(DataError, match=r"rock.tif is damaged \(.+\): restore"):
        volume[0, 3]


def test_plane_reader_opens_only_the_planes_that_are_asked() -> None:
    opened: list[int] = []

    def plane(number: int) -> np.ndarray:
        opened.append(number)
        return STACK[number]

    planes = Planes([partial(plane, number) for number in range(5)], (48, 32), STACK.dtype)
    assert np.array_equal(planes[1:4:2, 3:9, :5], STACK[1:4:2, 3:9, :5])
    assert opened == [1, 3]


def test_a_single_page_is_an_image(tmp_path: Path) -> None:
    assert open_volume(write(tmp_path / "rock.tif", STACK[0], **GREY)).shape == (1, 48, 32)


def test_four_slices_are_not_taken_for_colours(tmp_path: Path) -> None:
    assert open_volume(write(tmp_path / "rock.tif", STACK[:4].astype(np.uint8), **GREY)).shape == (1, 4, 48, 32)


def test_channels_stay_channels(tmp_path: Path) -> None:
    array = STACK[:4].reshape(2, 2, 48, 32)
    path = write(tmp_path / "rock.ome.tif", array, ome=True, metadata={"axes": "ZCYX"})
    assert np.array_equal(open_volume(path).read(), array.transpose(1, 0, 2, 3))


@pytest.mark.parametrize(("pages", "shape"), [(9, (1, 9, 48, 32)), (3, (3, 48, 32))])
def test_channels_beyond_what_imagej_shows_are_slices(tmp_path: Path, pages: int, shape: tuple[int, ...]) -> None:
    path = write(tmp_path / "rock.tif", np.resize(STACK, (pages, 48, 32)), imagej=True)
    assert tifffile.TiffFile(path).series[0].axes == "CYX"
    assert open_volume(path).shape == shape


# Spacing


def test_spacing_of_imagej(tmp_path: Path) -> None:
    how = {"imagej": True, "resolution": (1 / 0.002, 1 / 0.004), "metadata": {"spacing": 0.005, "unit": "mm"}}
    assert open_volume(write(tmp_path / "rock.tif", STACK, **how)).spacing == pytest.approx((5, 4, 2))


def test_spacing_of_imagej_without_depth_is_one_unit_deep(tmp_path: Path) -> None:
    how = {"imagej": True, "resolution": (0.4, 0.4), "metadata": {"unit": "\\u00B5m", "axes": "ZYX"}}
    assert open_volume(write(tmp_path / "rock.tif", STACK, **how)).spacing == pytest.approx((1, 2.5, 2.5))


@pytest.mark.parametrize(("unit", "factor"), [("µm", 1), ("nm", 1e-3), ("mm", 1e3)])
def test_spacing_of_ome(tmp_path: Path, unit: str, factor: float) -> None:
    metadata = {"axes": "ZYX"} | {f"PhysicalSize{axis}": size for axis, size in zip("ZYX", (3, 2, 1.5), strict=True)}
    metadata |= {f"PhysicalSize{axis}Unit": unit for axis in "ZYX"}
    path = write(tmp_path / "rock.ome.tif", STACK, metadata=metadata)
    assert open_volume(path).spacing == pytest.approx((3 * factor, 2 * factor, 1.5 * factor))


@pytest.mark.parametrize(("unit", "length"), [("INCH", 25400), ("CENTIMETER", 10000)])
def test_spacing_of_resolution_tags(tmp_path: Path, unit: str, length: float) -> None:
    how = GREY | {"resolution": (5000, 4000), "resolutionunit": unit}
    assert open_volume(write(tmp_path / "image.tif", STACK[0], **how)).spacing == pytest.approx(
        (length / 4000, length / 5000)
    )
    assert open_volume(write(tmp_path / "stack.tif", STACK, **how)).spacing is None  # the tags know no z


@pytest.mark.parametrize("how", [{}, {"resolution": (300, 300), "resolutionunit": "INCH"}], ids=str)
def test_no_spacing_where_nobody_measured_one(tmp_path: Path, how: dict[str, Any]) -> None:
    assert open_volume(write(tmp_path / "rock.tif", STACK[0], **GREY, **how)).spacing is None


@pytest.mark.parametrize(
    ("lines", "spacing"),
    [
        (["AP_PIXEL_SIZE", "Pixel Size = 9.0 nm", "AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 4.466 nm"], 0.004466),
        (["AP_PIXEL_SIZE", "Pixel Size = 1.25 µm", "AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = unknown"], 1.25),
        (["AP_WD", "WD = 4.1 mm"], None),
    ],
)
def test_spacing_of_zeiss_microscopes(tmp_path: Path, lines: list[str], spacing: float | None) -> None:
    text = "\r\n".join([*map(str, range(20)), *lines, ""]).encode("cp1252")
    how = GREY | {"extratags": [(34118, 2, len(text), text, True)], "metadata": None}
    expected = None if spacing is None else pytest.approx((spacing, spacing))
    assert open_volume(write(tmp_path / "image.tif", STACK[0], **how)).spacing == expected
    assert open_volume(write(tmp_path / "stack.tif", STACK, **how)).spacing is None  # a microscope knows no z


def test_a_microscope_knows_its_pixels_better_than_a_printer(tmp_path: Path) -> None:
    text = "\r\n".join([*map(str, range(20)), "AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 8.0 nm", ""]).encode("cp1252")
    how = GREY | {"extratags": [(34118, 2, len(text), text, True)], "metadata": None}
    path = write(tmp_path / "image.tif", STACK[0], **how, resolution=(600, 600), resolutionunit="INCH")
    assert open_volume(path).spacing == pytest.approx((0.008, 0.008))


# Grey levels and colours


@pytest.mark.parametrize("dtype", ["?", "u1", "u2"])
def test_miniswhite_is_inverted_as_pil_does(tmp_path: Path, dtype: str) -> None:
    array = STACK[0] > 2000 if dtype == "?" else STACK[0].astype(dtype)
    path = write(tmp_path / "rock.tif", array, photometric="miniswhite")
    volume = open_volume(path)
    white = 1 if dtype == "?" else np.iinfo(dtype).max
    assert np.array_equal(volume.read()[0], white - array.astype(int))
    if dtype == "u1":
        assert np.array_equal(volume.read()[0], np.asarray(Image.open(path)))


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_equal_colours_are_grey(tmp_path: Path, planar: str) -> None:
    grey = STACK[0].astype(np.uint8)
    rgb = np.stack([grey] * 3, axis=-1 if planar == "contig" else 0)
    path = write(tmp_path / "rock.tif", rgb, photometric="rgb", planarconfig=planar)
    assert np.array_equal(open_volume(path).read()[0], grey)


def test_unequal_colours_are_refused_weighed_or_kept(tmp_path: Path) -> None:
    rgb = STACK[:3].astype(np.uint8).transpose(1, 2, 0)
    path = write(tmp_path / "rock.tif", rgb, photometric="rgb")
    with pytest.raises(DataError, match="red, green and blue differ: save it as grey levels"):
        open_volume(path)
    assert np.array_equal(open_volume(path, grey="keep").read(), rgb.transpose(2, 0, 1))
    luma = open_volume(path, grey="luma")
    assert (luma.shape, luma.dtype) == ((1, 48, 32), np.uint8)
    pil = np.asarray(Image.open(path).convert("L")).astype(int)
    assert np.abs(luma.read()[0].astype(int) - pil).max() <= 1  # PIL rounds in fixed point


def test_colours_that_differ_in_a_later_slice_are_refused_when_read(tmp_path: Path) -> None:
    rgb = np.repeat(STACK[..., None].astype(np.uint8), 3, axis=-1)
    rgb[3, 0, 0, 0] ^= 1
    volume = open_volume(write(tmp_path / "rock.tif", rgb, photometric="rgb"))
    assert volume[:, :3].shape == (1, 3, 48, 32)
    with pytest.raises(DataError, match="colour image"):
        volume.read()


def test_alpha_is_not_a_colour(tmp_path: Path) -> None:
    image = Image.fromarray(STACK[0].astype(np.uint8))
    image.convert("LA").save(tmp_path / "rock.tif")
    assert np.array_equal(open_volume(tmp_path / "rock.tif").read()[0], np.asarray(image))


def test_palette_gives_indices_or_colours(tmp_path: Path) -> None:
    classes = (STACK[0] % 3).astype(np.uint8)
    colours = np.zeros((3, 256), np.uint16)
    colours[:, :3] = np.array([[255, 0, 9], [0, 200, 9], [30, 0, 9]]) * 257
    path = write(tmp_path / "labels.tif", classes, photometric="palette", colormap=colours)
    assert np.array_equal(open_volume(path, grey="index").read()[0], classes)
    kept = open_volume(path, grey="keep")
    assert (kept.shape, kept.dtype) == ((3, 48, 32), np.uint8)
    assert np.array_equal(kept.read(), np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1))
    with pytest.raises(DataError, match="colour image"):
        open_volume(path)


# Files that are not whole


def test_fewer_pages_than_declared_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "rock.tif", STACK, **GREY, compression="zlib")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.7)])
    with pytest.raises(DataError, match=r"rock.tif is incomplete: pages readable [34], declared 5"):
        open_volume(path)


def test_a_broken_chain_of_pages_is_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(page.astype(np.uint8)) for page in STACK]
    pages[0].save(tmp_path / "rock.tif", save_all=True, append_images=pages[1:])
    whole = (tmp_path / "rock.tif").read_bytes()
    (tmp_path / "rock.tif").write_bytes(whole[: int(len(whole) * 0.6)])
    with pytest.raises(DataError, match=r"rock.tif is truncated: pages readable 3, and another declared at byte"):
        open_volume(tmp_path / "rock.tif")


def test_truncated_pixels_are_counted(tmp_path: Path) -> None:
    pages = [Image.fromarray(page) for page in STACK]
    pages[0].save(tmp_path / "rock.tif", save_all=True, append_images=pages[1:])
    whole = (tmp_path / "rock.tif").read_bytes()
    (tmp_path / "rock.tif").write_bytes(whole[:-1670])
    with pytest.raises(DataError, match=r"rock.tif is truncated: page 5 of 5 has 1408 of 3072 bytes"):
        open_volume(tmp_path / "rock.tif")


@pytest.mark.parametrize("how", [GREY, GREY | {"compression": "zlib"}], ids=str)
def test_a_truncated_image_is_refused_when_opened(tmp_path: Path, how: dict[str, Any]) -> None:
    path = write(tmp_path / "rock.tif", STACK[0], **how)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(DataError, match=r"rock.tif is truncated: page 1 of 1 has \d+ of \d+ bytes"):
        open_volume(path)


def test_images_of_different_kinds_in_a_file_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "rock.tif") as file:
        file.write(STACK[0], photometric="minisblack")
        file.write(STACK[0, :9], photometric="minisblack")
    with pytest.raises(DataError, match="holds 2 images of different kinds"):
        open_volume(tmp_path / "rock.tif")


def test_time_series_of_volumes_are_refused(tmp_path: Path) -> None:
    array = STACK[:4].reshape(2, 2, 48, 32)
    path = write(tmp_path / "rock.tif", array, imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(DataError, match="axes TZYX"):
        open_volume(path)
