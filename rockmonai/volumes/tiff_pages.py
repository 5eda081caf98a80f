"""Are all the pages of a TIFF file there, down to their last byte?"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import tifffile

from rockmonai.errors import DataError


def check_pages(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    """Refuse a file that ends before its pages do, or that has fewer pages than it declares.

    Only directories are read: page offsets and lengths are compared with the size of the file.

    Raises:
        DataError: naming the page, the bytes found and the bytes expected.
    """
    size = file.filehandle.size
    pages = series.size // max(1, series.keyframe.size)
    declared = _declared_pages(file, series.keyframe.size)
    readable = len(file.pages) if len(file.pages) != 1 else pages
    if declared > pages:
        raise DataError(f"{path} is incomplete: pages readable {readable}, declared {declared}; restore the file.")
    if any(page is None for page in series.pages):
        raise DataError(f"{path} is incomplete: {pages} pages declared, some are missing; restore the file.")

    if series.dataoffset is not None and not series.is_multifile:
        step = series.nbytes // pages
        spans: list[Any] = [((series.dataoffset + n * step, step),) for n in range(pages)]
    else:
        spans = [tuple(zip(page.dataoffsets, page.databytecounts, strict=True)) for page in own_pages(series)]
    for number, page_spans in enumerate(spans, 1):
        expected = sum(count for _, count in page_spans)
        found = sum(min(max(size - offset, 0), count) for offset, count in page_spans)
        if found < expected:
            raise DataError(
                f"{path} is truncated: page {number} of {pages} has {found} of {expected} bytes; restore the file."
            )
    if following := _following_page(file):
        raise DataError(
            f"{path} is truncated: pages readable {readable}, and another declared at byte {following} of {size}; "
            "restore the file."
        )


def own_pages(series: tifffile.TiffPageSeries) -> list[Any]:
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
