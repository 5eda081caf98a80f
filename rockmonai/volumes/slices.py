"""A folder of numbered slices, written: PNG where it holds the greys, TIFF elsewhere."""

from __future__ import annotations

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

    Until the end a slice is a file of bare voxels. The spacing is kept along y and x alone.

    Raises:
        OutputError: an image, or several channels.
    """
    if layout.axes != "ZYX":
        raise OutputError(
            f"{path.name} without an ending is a folder of grey slices, which {layout.shape} does not fit: "
            "add an ending such as .tif."
        )
    kind, suffix = (picture, ".png") if layout.dtype in (np.uint8, np.uint16) else (tiff_writer, ".tif")
    one = Layout((1, *layout.shape[2:]), layout.dtype, layout.spacing and layout.spacing[1:], layout.chunks[1:])
    digits = max(3, len(str(layout.shape[1] - 1)))
    path.mkdir()
    files = [path / f"{number:0{digits}d}.voxels" for number in range(layout.shape[1])]
    for file in files:
        file.touch()
        reserve(file, one.dtype.itemsize * one.shape[1] * one.shape[2])

    def finish() -> None:
        for file in files:
            sink = kind.create(file.with_suffix(suffix), one)
            sink.array[...] = mapped(file, one.dtype, 0, one.stored)
            sink.finish()
            file.unlink()

    return Sink(_Files(files, one), "ZYX", finish=finish)


class _Files:
    """An array (Z, Y, X) of which every plane is a file of voxels."""

    def __init__(self, files: list[Path], plane: Layout) -> None:
        self._files, self._plane = files, plane

    def __setitem__(self, index: tuple[Any, ...], values: np.ndarray) -> None:
        first, *rest = index
        for file, plane in zip(self._files[first], values, strict=True):
            np.memmap(file, self._plane.dtype, "r+", 0, self._plane.stored)[tuple(rest)] = plane
