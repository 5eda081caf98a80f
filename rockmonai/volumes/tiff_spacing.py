"""The voxel size that a TIFF file states, in the dialect of OME, ImageJ, plain resolution tags or Zeiss microscopes."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import tifffile

from rockmonai.volumes.units import complete, micrometres, spacing_from_dpi

_UNITS_PER_INCH = {tifffile.RESUNIT.INCH: 1.0, tifffile.RESUNIT.CENTIMETER: 2.54}


def tiff_spacing(file: tifffile.TiffFile, is_volume: bool) -> tuple[float, ...] | None:
    """Return micrometres along (z,) y, x, or None where the file does not say all of them.

    Args:
        file: the open file.
        is_volume: whether there is a z axis.
    """
    if file.is_ome:
        spacing = _ome(file.ome_metadata or "")
    elif file.is_imagej:
        spacing = _imagej(file)
    else:
        # Neither microscopes nor resolution tags know a z, so a plain stack has no spacing. Programs that save an image
        # again leave the resolution of a print beside what the microscope has written.
        in_plane = _zeiss(file) or _tags(file)
        spacing = [None, *in_plane] if in_plane else [None] * 3
    return complete(spacing if is_volume else spacing[1:])


def _ome(xml: str) -> list[float | None]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    attributes = {} if pixels is None else pixels.attrib
    return [
        micrometres(float(attributes.get(f"PhysicalSize{axis}", 0)), attributes.get(f"PhysicalSize{axis}Unit", "µm"))
        for axis in "ZYX"
    ]


def _imagej(file: tifffile.TiffFile) -> list[float | None]:
    metadata: dict[str, Any] = file.imagej_metadata or {}
    unit = str(metadata.get("unit", ""))
    y, x = (_ratio(file, f"{axis}Resolution") for axis in "YX")
    # ImageJ leaves the depth out of a calibrated file when it is 1.
    return [
        micrometres(length, unit)
        for length in (float(metadata.get("spacing", 1)), 1 / y if y else 0, 1 / x if x else 0)
    ]


def _tags(file: tifffile.TiffFile) -> tuple[float, ...] | None:
    tag = file.pages.first.tags.get("ResolutionUnit")
    if tag is None or tag.value not in _UNITS_PER_INCH:
        return None
    per_inch = _UNITS_PER_INCH[tag.value]
    return spacing_from_dpi([_ratio(file, f"{axis}Resolution") * per_inch for axis in "YX"])


def _zeiss(file: tifffile.TiffFile) -> tuple[float | None, ...] | None:
    metadata: dict[str, Any] = file.sem_metadata or {}
    for key in ("ap_image_pixel_size", "ap_pixel_size"):
        # A name, a number and its unit; what the microscope could not tell is a word without a unit.
        _, *size = metadata.get(key, [key])
        if len(size) == 2 and isinstance(size[0], int | float):
            return (micrometres(*size),) * 2
    return None


def _ratio(file: tifffile.TiffFile, name: str) -> float:
    """Return a resolution tag in pixels per unit, 0 where it is absent."""
    tag = file.pages.first.tags.get(name)
    numerator, denominator = tag.value if tag else (0, 1)
    return numerator / denominator if denominator else 0.0
