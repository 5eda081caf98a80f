"""A scan on disk as a lazy array: slicing reads only what is asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from rockmonai.errors import DataError, first_line
from rockmonai.volumes.colour import Grey, check_grey, paint, to_channels
from rockmonai.volumes.formats import open_source
from rockmonai.volumes.indexing import lengths, resolve, spatial_axes
from rockmonai.volumes.source import Source
from rockmonai.volumes.units import complete


class Volume:
    """A volume (C, Z, Y, X) or an image (C, Y, X) on disk; made by `open_volume`.

    It can be pickled and survives a fork: workers of a DataLoader open the file again when they first read.

    Attributes:
        path: the file or folder, with ``::dataset`` where one was named.
        shape: (C, Z, Y, X) or (C, Y, X).
        dtype: of the arrays that reading returns, in native byte order.
        spacing: voxel size in micrometres along (z,) y, x; None where the file does not say.
    """

    def __init__(self, path: str | Path, *, grey: Grey = "strict") -> None:
        check_grey(grey)
        self.path, self._grey = Path(path), grey
        self._source: Source | None = None
        self._pid = 0
        source = self._opened()
        self.shape, self.dtype = self._describe(source)
        self.spacing = complete(source.spacing)
        if self._coloured(source) and self._grey in ("strict", "index") and 0 not in self.shape:
            # Tell at once: a whole image, the first slice of a volume; further slices are checked as they are read.
            self[:, :1] if self.spatial_dims == 3 else self.read()

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.shape[0]

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """(Z, Y, X) or (Y, X)."""
        return self.shape[1:]

    @property
    def spatial_dims(self) -> int:
        """3 for a volume, 2 for an image."""
        return len(self.shape) - 1

    @property
    def ndim(self) -> int:
        """4 for a volume, 3 for an image."""
        return len(self.shape)

    def read(self) -> np.ndarray:
        """Return the whole volume, (C, Z, Y, X) or (C, Y, X)."""
        return self[...]

    def close(self) -> None:
        """Release the file; a later read opens it again."""
        if self._source is not None and self._pid == os.getpid():
            self._source.close()
        self._source = None

    def __getitem__(self, index: Any) -> np.ndarray:
        slices, squeeze = resolve(index, self.shape)
        if 0 in lengths(slices):
            return np.empty(lengths(slices), self.dtype)[squeeze]
        try:
            block = self._read(slices)
        except DataError:
            raise
        except Exception as error:  # damaged data makes the libraries raise anything
            raise DataError(f"{self.path} is damaged ({first_line(error)}): restore it from its original.") from error
        return np.require(block[squeeze], self.dtype, ["C", "O", "W"])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.read(), dtype=dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __enter__(self) -> Volume:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_source": None}

    def __repr__(self) -> str:
        spacing = "unknown" if self.spacing is None else " x ".join(f"{value:g}" for value in self.spacing) + " µm"
        return f"Volume({str(self.path)!r}, shape={self.shape}, dtype={self.dtype}, spacing={spacing})"

    def _opened(self) -> Source:
        if self._source is None or self._pid != os.getpid():
            self._source, self._pid = open_source(str(self.path)), os.getpid()
        return self._source

    def _coloured(self, source: Source) -> bool:
        return ("S" in source.axes and source.samples == 3) or (source.palette is not None and self._grey != "index")

    def _describe(self, source: Source) -> tuple[tuple[int, ...], np.dtype]:
        size = dict(zip(source.axes, source.array.shape, strict=True))
        channels = (3 if self._grey == "keep" else 1) if self._coloured(source) else size.get("C", 1)
        dtype = source.palette.dtype if source.palette is not None and self._grey != "index" else source.array.dtype
        dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")
        if dtype.kind not in "uif":
            raise DataError(f"{self.path} holds values of type {dtype}: convert them to integers or real numbers.")
        return (channels, *(size[axis] for axis in "ZYX" if axis in size)), dtype

    def _read(self, slices: tuple[slice, ...]) -> np.ndarray:
        source = self._opened()
        wanted: dict[str, slice | int] = dict(zip("C" + spatial_axes(self.ndim), slices, strict=True))
        wanted |= {"S": slice(0, source.samples), "T": 0}
        block = np.asarray(source.array[tuple(wanted[axis] for axis in source.axes)])

        kept = source.axes.replace("T", "")
        block = block.transpose([kept.index(axis) for axis in "CSZYX" if axis in kept])
        if "C" not in kept and "S" not in kept:
            block = block[None]
        if source.white is not None:
            block = ~block if block.dtype.kind == "b" else block.dtype.type(source.white) - block
        if source.palette is not None and self._grey != "index":
            block = paint(block, source.palette)
        if self._coloured(source):
            block = to_channels(block, self._grey, str(self.path))
        return block if "C" in kept else block[slices[0]]


def open_volume(path: str | Path, *, grey: Grey = "strict") -> Volume:
    """Return the scan at ``path`` as a lazy array; only its header is read.

    Formats: TIFF (plain, ImageJ, OME, tiled, compressed, BigTIFF), a folder of slices in natural order, RAW with a
    JSON sidecar, NPY, HDF5, MAT v7.3 and NetCDF-4 (``file.h5::dataset`` where there are several), Zarr and OME-Zarr,
    NIfTI, NRRD, MetaImage, PNG, JPG, BMP. A file with a single page is an image (C, Y, X).

    Args:
        path: the file or folder.
        grey: what becomes of colours: ``"strict"`` takes RGB with equal channels as one grey channel and refuses
            others, ``"luma"`` weighs them (Rec. 601), ``"keep"`` gives three channels, ``"index"`` gives the class
            indices of palette images. Images without colours are not affected.

    Raises:
        DataError: the file is missing, unknown, damaged or truncated, or its colours differ.
        UsageError: ``grey`` is unknown.
    """
    return Volume(path, grey=grey)
