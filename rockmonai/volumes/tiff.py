"""TIFF of every kind: memory-mapped where the pixels lie plain in the file, decoded by page or tile otherwise."""

from __future__ import annotations

import math
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from rockmonai.errors import DataError
from rockmonai.volumes.planes import Planes, mapped
from rockmonai.volumes.source import Source
from rockmonai.volumes.tiff_spacing import tiff_spacing

_GREY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
_COLOUR = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
_ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)


def open_source(path: Path, member: str) -> Source:
    """Open the only image of a TIFF file, having checked that all its pages are there.

    Raises:
        DataError: several images, missing or truncated pages, more than one stack axis, or an unusual colour space.
    """
    file = tifffile.TiffFile(path)
    try:
        series = _only_series(path, file)
        _check_pages(path, file, series)
        source = _describe(path, file, series)
        source.spacing = tiff_spacing(file, "Z" in source.axes)
        source.array = _array(path, file, series)
    except BaseException:
        file.close()
        raise
    if isinstance(source.array, np.memmap | Planes):
        file.close()
    else:
        source.close = file.close
    return source


def _only_series(path: Path, file: tifffile.TiffFile) -> tifffile.TiffPageSeries:
    images = [series for series in file.series if not series.keyframe.is_reduced]
    if len(images) != 1:
        shapes = ", ".join(str(series.shape) for series in images[:10])
        raise DataError(f"{path} holds {len(images)} images of different kinds ({shapes}): save one volume per file.")
    return images[0]


def _check_pages(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    keyframe, size = series.keyframe, file.filehandle.size
    pages = series.size // max(1, keyframe.size)
    declared = _declared_pages(file, keyframe.size)
    readable = len(file.pages) if len(file.pages) != 1 else pages
    if declared > pages:
        raise DataError(f"{path} is incomplete: {readable} pages readable, {declared} declared; restore the file.")
    if any(page is None for page in series.pages):
        raise DataError(f"{path} is incomplete: {pages} pages declared, some are missing; restore the file.")

    if series.dataoffset is not None and not series.is_multifile:
        step = series.nbytes // pages
        spans: list[Any] = [((series.dataoffset + n * step, step),) for n in range(pages)]
    else:
        spans = [tuple(zip(page.dataoffsets, page.databytecounts, strict=True)) for page in _pages(series)]
    for number, page_spans in enumerate(spans, 1):
        expected = sum(count for _, count in page_spans)
        found = sum(min(max(size - offset, 0), count) for offset, count in page_spans)
        if found < expected:
            raise DataError(
                f"{path} is truncated: page {number} of {pages} has {found} of {expected} bytes; restore the file."
            )
    if following := _following_page(file):
        raise DataError(
            f"{path} is truncated: {readable} pages readable, but another is declared at byte {following} "
            f"of {file.filehandle.size}; restore the file."
        )


def _pages(series: tifffile.TiffPageSeries) -> list[Any]:
    """Return the pages in this file; those that an OME series keeps in other files are checked when they are read."""
    return [page for page in series.pages if page is not None and page.parent is series.keyframe.parent]


def _declared_pages(file: tifffile.TiffFile, page_size: int) -> int:
    if file.is_imagej:
        return int((file.imagej_metadata or {}).get("images", 1))
    if file.is_shaped:
        shape = (file.shaped_metadata or ({},))[0].get("shape", ())
        return math.prod(shape) // max(1, page_size)
    return 1


def _following_page(file: tifffile.TiffFile) -> int:
    """Return where the last readable page says that the next one begins; 0 where it says that it is the last."""
    handle, layout = file.filehandle, file.tiff
    handle.seek(file.pages[-1].offset)
    (tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
    handle.seek(file.pages[-1].offset + layout.tagnosize + tags * layout.tagsize)
    last = handle.read(layout.offsetsize)
    return struct.unpack(layout.offsetformat, last)[0] if len(last) == layout.offsetsize else 0


def _describe(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Source:
    page = series.keyframe
    axes = _axes(path, series)
    source = Source(None, axes)
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        source.palette = (np.asarray(page.colormap) >> 8).astype(np.uint8)
    elif page.photometric in _GREY and "S" in axes:
        if sum(sample not in _ALPHA for sample in page.extrasamples) + 1 == 1:
            source.samples = 1
        else:
            source.axes = axes.replace("S", "C")
    elif page.photometric not in _GREY + _COLOUR:
        name = getattr(page.photometric, "name", page.photometric)
        raise DataError(f"{path} has the colour space {name}: save it as grey levels or RGB.")
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        if series.dtype.kind not in "ub":
            raise DataError(
                f"{path} is MINISWHITE with {series.dtype} values, which have no white: save it as MINISBLACK."
            )
        source.white = 2**page.bitspersample - 1
    return source


def _axes(path: Path, series: tifffile.TiffPageSeries) -> str:
    """Return tifffile's axis letters with the one stack axis, whatever its name, called Z."""
    stacks = [n for n, (letter, size) in enumerate(zip(series.axes, series.shape, strict=True)) if letter not in "YXSC"]
    long = [n for n in stacks if series.shape[n] > 1] or stacks[-1:]
    if len(long) > 1 or len(set(series.axes)) < len(series.axes):
        raise DataError(f"{path} has the axes {series.axes} of {series.shape}: save one volume (z, y, x) per file.")
    renamed = ["T" if n in stacks else letter for n, letter in enumerate(series.axes)]
    if long and (series.shape[long[0]] > 1 or series.axes[long[0]] == "Z"):
        renamed[long[0]] = "Z"
    return "".join(renamed)


def _array(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Any:
    page = series.keyframe
    dtype = np.dtype(file.byteorder + series.dtype.char)
    if page.is_memmappable and not series.is_multifile:
        if series.dataoffset is not None:
            return mapped(path, dtype, series.dataoffset, series.shape)
        # Most programs other than tifffile put a directory entry between the pages.
        pages = _pages(series)
        if series.shape == (len(pages), *page.shape) and all(_is_contiguous(p) for p in pages):
            planes = [partial(mapped, path, dtype, p.dataoffsets[0], page.shape) for p in pages]
            return Planes(planes, page.shape, dtype)
    import zarr

    return zarr.open_array(series.aszarr(level=0), mode="r")


def _is_contiguous(page: Any) -> bool:
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    return list(page.dataoffsets[1:]) == ends[:-1]
