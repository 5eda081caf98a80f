"""TIFF of every kind: memory-mapped where the pixels lie plain in the file, decoded by page or tile otherwise."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from rockmonai.errors import DataError
from rockmonai.volumes.planes import Planes, mapped
from rockmonai.volumes.source import Source
from rockmonai.volumes.tiff_pages import check_pages, own_pages
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
        check_pages(path, file, series)
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


def _describe(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Source:
    page = series.keyframe
    axes = _axes(path, file, series)
    source = Source(None, axes)
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        source.palette = (np.asarray(page.colormap) >> 8).astype(np.uint8)
    elif page.photometric in _GREY and "S" in axes:
        if all(sample in _ALPHA for sample in page.extrasamples):
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


def _axes(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> str:
    """Return tifffile's axis letters with the one stack axis, whatever its name, called Z."""
    axes, shape = series.axes, series.shape
    # tifffile calls the slices of a stack channels unless told otherwise; ImageJ shows no more than 7 of them.
    if file.is_imagej and axes == "CYX" and (shape[0] > 7 or "spacing" in (file.imagej_metadata or {})):
        axes = "ZYX"
    stacks = [n for n, letter in enumerate(axes) if letter not in "YXSC"]
    long = [n for n in stacks if shape[n] > 1]
    if len(long) > 1 or len(set(axes)) < len(axes):
        raise DataError(f"{path} has the axes {axes} of {shape}: save one volume (z, y, x) per file.")
    return "".join("Z" if n in long else "T" if n in stacks else letter for n, letter in enumerate(axes))


def _array(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Any:
    page = series.keyframe
    dtype = np.dtype(file.byteorder + series.dtype.char)
    if page.is_memmappable and not series.is_multifile:
        if series.dataoffset is not None:
            return mapped(path, dtype, series.dataoffset, series.shape)
        # Most programs other than tifffile put a directory entry between the pages.
        pages = own_pages(series)
        if series.shape == (len(pages), *page.shape) and all(_is_contiguous(p) for p in pages):
            planes = [partial(mapped, path, dtype, p.dataoffsets[0], page.shape) for p in pages]
            return Planes(planes, page.shape, dtype)
    import zarr

    return zarr.open_array(series.aszarr(level=0), mode="r")


def _is_contiguous(page: Any) -> bool:
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    return list(page.dataoffsets[1:]) == ends[:-1]
