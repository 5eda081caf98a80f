"""PNG, JPG and BMP: single images, decoded whole at the first read."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from rockmonai.errors import DataError, OutputError
from rockmonai.volumes.deferred import Deferred
from rockmonai.volumes.source import Layout, Sink, Source
from rockmonai.volumes.units import spacing_from_dpi

# PIL mode: dtype, axes, samples that carry colour
_MODES = {
    "1": ("?", "YX", 1),
    "L": ("u1", "YX", 1),
    "P": ("u1", "YX", 1),
    "I;16": ("u2", "YX", 1),
    "I;16B": ("u2", "YX", 1),
    "I": ("i4", "YX", 1),
    "LA": ("u1", "YXS", 1),
    "RGB": ("u1", "YXS", 3),
    "RGBA": ("u1", "YXS", 3),
}
_GREY_SAMPLES = {"LA": 2, "RGB": 3, "RGBA": 4}


def open_source(path: Path, member: str) -> Source:
    """Open a picture; its resolution, unless it is a screen's or a printer's default, gives the spacing.

    Raises:
        DataError: an unusual colour space, or a PNG without its end.
    """
    with Image.open(path) as image:
        if image.mode not in _MODES:
            raise DataError(f"{path} has the colour mode {image.mode}: save it as grey levels or RGB.")
        code, axes, samples = _MODES[image.mode]
        shape = (image.height, image.width, *([_GREY_SAMPLES[image.mode]] if "S" in axes else []))
        dpi = image.info.get("dpi")
        palette = None
        if image.mode == "P":
            colours = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3).T
            palette = np.pad(colours, ((0, 0), (0, 256 - colours.shape[1])))
    dtype, load = np.dtype(code), partial(_decode, path)
    if path.suffix.lower() == ".png":
        _check_end(path)
        # PIL reduces 16 bit colours to 8.
        if "S" in axes and _png_bits(path) == 16:
            dtype, load = np.dtype("u2"), partial(_decode_16_bits, path)
    spacing = spacing_from_dpi((dpi[1], dpi[0])) if dpi else None
    return Source(Deferred(shape, dtype, load), axes, spacing, samples=samples, palette=palette)


def _decode(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def _decode_16_bits(path: Path) -> np.ndarray:
    return imagecodecs.png_decode(path.read_bytes())


def _check_end(path: Path) -> None:
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1024))
        if b"IEND" not in file.read():
            raise DataError(
                f"{path} is truncated: it ends after {size} bytes without the end of a PNG; restore the file."
            )


def _png_bits(path: Path) -> int:
    """Return the bits per sample, byte 24 of every PNG."""
    with open(path, "rb") as file:
        return file.read(25)[24]


def create(path: Path, layout: Layout) -> Sink:
    """Create a PNG, grey of 8 or 16 bits or RGB, with its spacing as resolution, held in memory until the end.

    Raises:
        OutputError: a volume, several channels that are no colours, or another dtype.
    """
    channels, *plane = layout.shape
    if len(plane) != 2 or (channels > 1 and not layout.colour) or layout.dtype not in (np.uint8, np.uint16):
        raise OutputError(
            f"PNG takes one slice of uint8 or uint16, not {layout.shape} {layout.dtype}: write .tif instead."
        )
    axes, shape = ("YXC", (*plane, 3)) if layout.colour else ("YX", plane)
    pixels = np.zeros(shape, layout.dtype)

    def finish() -> None:
        resolution = {"dpi": tuple(25400.0 / size for size in layout.spacing[::-1])} if layout.spacing else {}
        Image.fromarray(pixels).save(path, "PNG", **resolution)

    return Sink(pixels, axes, finish=finish)
