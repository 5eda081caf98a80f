"""NIfTI through nibabel; its axes (x, y, z, channel) are turned into ours here and nowhere else."""

from __future__ import annotations

import gzip
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from rockmonai.errors import DataError, OutputError
from rockmonai.volumes.atomic import reserve
from rockmonai.volumes.planes import mapped
from rockmonai.volumes.source import Layout, Sink, Source
from rockmonai.volumes.units import complete, micrometres

_UNITS = {"micron": "um", "mm": "mm", "meter": "m"}


class _Scaled:
    """nibabel's lazy array with the dtype that its slope and intercept make of the stored one."""

    def __init__(self, proxy: Any) -> None:
        self._proxy, self.shape = proxy, proxy.shape
        self.dtype: np.dtype = np.asarray(proxy[(slice(0, 1),) * len(proxy.shape)]).dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(self._proxy[index])


def open_source(path: Path, member: str) -> Source:
    """Open a NIfTI file; reading a part of a .nii reads that part, of a .nii.gz all before it as well.

    The spacing is the voxel size without the signs of the orientation; None when the header states no length unit.

    Raises:
        DataError: the file is shorter than its header says, or has a time axis.
    """
    image: Any = nibabel.load(path)
    shape, header, data = image.shape, image.header, image.dataobj
    expected = data.offset + int(np.prod(shape)) * header.get_data_dtype().itemsize
    if path.suffix.lower() == ".nii" and path.stat().st_size < expected:
        raise DataError(f"{path} is truncated: it has {path.stat().st_size} of {expected} bytes; restore the file.")
    axes = "XYZ"[: len(shape)] + "".join("T" if size == 1 else "C" for size in shape[3:])
    if axes.count("C") > 1:
        raise DataError(f"{path} has the shape {shape}: save one volume (x, y, z, channel) per file.")
    unit = _UNITS.get(header.get_xyzt_units()[0], "")
    sizes = [micrometres(size, unit) for size in header.get_zooms()[: len(axes.rstrip("CT"))]]
    # A memory map is over ten times faster than nibabel's slicing where the voxels need no scaling.
    is_plain = path.suffix.lower() == ".nii" and (data.slope, data.inter) == (1, 0)
    array = mapped(path, data.dtype, data.offset, shape, "F") if is_plain else _Scaled(data)
    return Source(array, axes, complete(sizes[::-1]))


def create(path: Path, layout: Layout) -> Sink:
    """Create a NIfTI-1 file, mapped while it is written; a .nii.gz is compressed at the end.

    Raises:
        OutputError: an image (C, Y, X) with several channels, which NIfTI would take for slices.
    """
    if len(layout.shape) == 3 and layout.shape[0] > 1:
        raise OutputError("NIfTI takes the channels of a 2D image for slices: write .tif or .ome.zarr instead.")
    axes = layout.axes.lstrip("C")[::-1] + "C" * (layout.axes[0] == "C")
    size = dict(zip(layout.axes, layout.stored, strict=True))
    header = nibabel.Nifti1Header()
    header.set_data_dtype(layout.dtype)
    header.set_data_shape([size[axis] for axis in axes])
    if layout.spacing is not None:
        header.set_xyzt_units("micron")
        header.set_zooms([*layout.spacing[::-1], *[1.0] * axes.count("C")])
        header.set_sform(np.diag([*layout.spacing[::-1], *[1.0] * (4 - len(layout.spacing))]), code=1)
    header["magic"], header["vox_offset"] = b"n+1", 352

    plain = path.with_suffix(".plain")
    with open(plain, "wb") as file:
        header.write_to(file)
        file.write(bytes(352 - file.tell()))
    reserve(plain, 352 + int(np.prod(layout.shape)) * layout.dtype.itemsize)
    shape = tuple(size[axis] for axis in axes)
    pixels = np.memmap(plain, layout.dtype, "r+", 352, shape, "F")
    return Sink(pixels, axes, finish=partial(_finish, pixels, plain, path))


def _finish(pixels: np.memmap, plain: Path, path: Path) -> None:
    pixels.flush()
    if path.suffix.lower() != ".gz":
        os.replace(plain, path)
        return
    # No name and no time in the gzip header: the same volume gives the same bytes.
    with open(plain, "rb") as source, open(path, "wb") as target, gzip.GzipFile("", "wb", 1, target, 0) as packed:
        shutil.copyfileobj(source, packed, 1 << 20)
    plain.unlink()
