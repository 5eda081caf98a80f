"""A folder of numbered slices, written: PNG where it holds the values, TIFF elsewhere."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from rockmonai.errors import OutputError
from rockmonai.volumes import picture, tiff_writer
from rockmonai.volumes.atomic import reserve
from rockmonai.volumes.planes import mapped
from rockmonai.volumes.source import Layout, Sink


def create(path: Path, layout: Layout) -> Sink:
    """Create a folder with a file for every slice, ``000.png`` or, unless greys are uint8 or uint16, ``000.tif``.

    With the names of the layout instead of numbers, if it has some. Until the end a slice is a file of bare voxels. The
    spacing is kept along y and x alone.

    Raises:
        OutputError: an image, or several channels that are no colours.
    """
    if len(layout.shape) != 4 or (layout.shape[0] > 1 and not layout.colour):
        raise OutputError(
            f"{path.name} without an ending is a folder of grey slices, which {layout.shape} does not fit: "
            "add an ending such as .tif."
        )
    kind, suffix = (picture, ".png") if layout.dtype in (np.uint8, np.uint16) else (tiff_writer, ".tif")
    channels, depth, *plane = layout.shape
    spacing = layout.spacing and layout.spacing[1:]
    one = Layout((channels, *plane), layout.dtype, spacing, layout.chunks[1:], layout.colour)
    digits = max(3, len(str(depth - 1)))
    names = layout.names or [f"{number:0{digits}d}" for number in range(depth)]
    path.mkdir()
    files = [path / f"{name}.voxels" for name in names[:depth]]
    for file in files:
        file.touch()
        reserve(file, one.dtype.itemsize * math.prod(one.shape))

    def finish() -> None:
        for file in files:
            sink = kind.create(file.with_name(file.name.removesuffix(".voxels") + suffix), one)
            order = [one.axes.index(axis) for axis in sink.axes]
            sink.array[...] = mapped(file, one.dtype, 0, one.stored).transpose(order)
            sink.finish()
            file.unlink()

    return Sink(_Files(files, one), f"Z{one.axes}", finish=finish)


class _Files:
    """An array (Z, [C,] Y, X) of which every plane is a file of voxels."""

    def __init__(self, files: list[Path], plane: Layout) -> None:
        self._files, self._plane = files, plane

    def __setitem__(self, index: tuple[Any, ...], values: np.ndarray) -> None:
        first, *rest = index
        for file, plane in zip(self._files[first], values, strict=True):
            np.memmap(file, self._plane.dtype, "r+", 0, self._plane.stored)[tuple(rest)] = plane
