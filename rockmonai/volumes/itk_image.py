"""NRRD and MetaImage: memory-mapped where the data are plain, through ITK where they are compressed."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rockmonai.errors import DataError, OutputError
from rockmonai.volumes.atomic import reserve
from rockmonai.volumes.deferred import Deferred
from rockmonai.volumes.planes import mapped
from rockmonai.volumes.source import Layout, Sink, Source
from rockmonai.volumes.units import complete, micrometres

_HEADER_LIMIT = 1 << 16
# ITK's name, NRRD's name, MetaImage's name
_TYPES = {
    "u1": ("unsigned_char", "uint8", "MET_UCHAR"),
    "i1": ("char", "int8", "MET_CHAR"),
    "u2": ("unsigned_short", "uint16", "MET_USHORT"),
    "i2": ("short", "int16", "MET_SHORT"),
    "u4": ("unsigned_int", "uint32", "MET_UINT"),
    "i4": ("int", "int32", "MET_INT"),
    "f4": ("float", "float", "MET_FLOAT"),
    "f8": ("double", "double", "MET_DOUBLE"),
}


def open_source(path: Path, member: str) -> Source:
    """Open an NRRD or MetaImage file.

    The spacing is the voxel size without the signs of the orientation; None when the header states no length unit
    (``space units`` in NRRD, ``DistanceUnits`` in MetaImage), as ITK itself leaves it out.

    Raises:
        DataError: ITK does not know the file, or it is shorter than its header says.
    """
    import itk

    io = itk.ImageIOFactory.CreateImageIO(str(path), itk.CommonEnums.IOFileMode_ReadMode)
    if io is None:
        raise DataError(f"{path} is no image that ITK can read: restore it from its original.")
    io.SetFileName(str(path))
    io.ReadImageInformation()
    ndim, component = io.GetNumberOfDimensions(), io.GetComponentTypeAsString(io.GetComponentType())
    dtype = np.dtype(next(code for code, names in _TYPES.items() if names[0] == component))
    shape = tuple(int(io.GetDimensions(n)) for n in reversed(range(ndim)))
    axes = "CZYX"[4 - ndim :]
    if io.GetNumberOfComponents() > 1:
        shape, axes = (*shape, int(io.GetNumberOfComponents())), axes + "C"

    fields, length = _header(path)
    unit = (re.findall(r'[^"\s]+', fields.get("space units", fields.get("distanceunits", ""))) or [""])[0]
    sizes = [micrometres(io.GetSpacing(n), unit) for n in reversed(range(min(ndim, 3)))]
    plain = None if axes.endswith("C") else _plain_data(path, fields, length)
    if plain is None:
        array: Any = Deferred(shape, dtype, lambda: itk.array_from_image(itk.imread(str(path))))
    else:
        file, offset = plain
        expected, found = math.prod(shape) * dtype.itemsize, file.stat().st_size - offset
        if found < expected:
            raise DataError(f"{file} is truncated: it has {found} of {expected} bytes of voxels; restore the file.")
        array = mapped(file, dtype.newbyteorder(_byte_order(fields)), offset, shape)
    return Source(array, axes, complete(sizes))


def _header(path: Path) -> tuple[dict[str, str], int]:
    """Return the fields of the text header by lower-case name, and its length in bytes."""
    fields: dict[str, str] = {}
    length = 0
    with open(path, "rb") as file:
        for line in file.read(_HEADER_LIMIT).splitlines(keepends=True):
            length += len(line)
            name, _, value = line.decode("latin-1").replace(":=", "=", 1).replace(": ", "=", 1).partition("=")
            if not line.strip() and fields:
                break
            fields[name.strip().lower()] = value.strip()
            if name.strip() == "ElementDataFile":
                break
    return fields, length


def _plain_data(path: Path, fields: dict[str, str], length: int) -> tuple[Path, int] | None:
    """Return the file and offset of uncompressed data, None where they need ITK."""
    skips = ("byte skip", "byteskip", "line skip", "lineskip", "headersize")
    if fields.get("encoding", "raw") != "raw" or fields.get("compresseddata", "False").lower() == "true":
        return None
    if any(name in fields for name in skips):
        return None
    name = fields.get("elementdatafile") or fields.get("data file") or fields.get("datafile") or "LOCAL"
    if name == "LOCAL":
        return path, length
    return (path.parent / name, 0) if (path.parent / name).is_file() else None


def _byte_order(fields: dict[str, str]) -> Literal["<", ">"]:
    most_significant_first = fields.get("binarydatabyteordermsb", fields.get("elementbyteordermsb", "False"))
    return ">" if fields.get("endian") == "big" or most_significant_first.lower() == "true" else "<"


def create(path: Path, layout: Layout) -> Sink:
    """Create an uncompressed file with one channel and attached data, its unit stated as micrometres.

    Raises:
        OutputError: several channels, or a dtype that the format lacks.
    """
    code = layout.dtype.str[1:]
    if layout.shape[0] > 1 or code not in _TYPES:
        raise OutputError(
            f"{path.suffix} takes one channel of 8 to 32 bit integers or floats: write .ome.zarr instead."
        )
    header = (_nrrd_header if path.suffix.lower() == ".nrrd" else _meta_header)(layout, code).encode()
    path.write_bytes(header)
    reserve(path, len(header) + math.prod(layout.stored) * layout.dtype.itemsize)
    pixels = np.memmap(path, layout.dtype.newbyteorder("<"), "r+", len(header), layout.stored)
    return Sink(pixels, layout.axes, finish=pixels.flush)


def _nrrd_header(layout: Layout, code: str) -> str:
    ndim = len(layout.stored)
    lines = ["NRRD0005", f"type: {_TYPES[code][1]}", f"dimension: {ndim}", f"sizes: {_backwards(layout.stored)}"]
    if layout.spacing is not None:
        rows = np.diag(layout.spacing[::-1])
        directions = " ".join("(" + ",".join(repr(float(value)) for value in row) + ")" for row in rows)
        units = " ".join(['"um"'] * ndim)
        # The dimension of the space must come before what lives in it.
        lines[3:3] = [f"space dimension: {ndim}", f"space units: {units}"]
        lines.append(f"space directions: {directions}")
    return "\n".join([*lines, "endian: little", "encoding: raw", "", ""])


def _meta_header(layout: Layout, code: str) -> str:
    lines = [
        "ObjectType = Image",
        f"NDims = {len(layout.stored)}",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
    ]
    lines.append("CompressedData = False")
    if layout.spacing is not None:
        lines += ["DistanceUnits = um", f"ElementSpacing = {_backwards(layout.spacing)}"]
    lines += [
        f"DimSize = {_backwards(layout.stored)}",
        f"ElementType = {_TYPES[code][2]}",
        "ElementDataFile = LOCAL",
        "",
    ]
    return "\n".join(lines)


def _backwards(values: tuple[int, ...] | tuple[float, ...]) -> str:
    """Return ``values`` in the order x, y, z of these formats."""
    return " ".join(repr(value) for value in reversed(values))
