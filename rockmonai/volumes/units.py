"""Lengths that files state in their own units, in micrometres."""

from __future__ import annotations

import math
from collections.abc import Sequence

_MICROMETRES = {
    "angstrom": 1e-4,
    "å": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "um": 1.0,
    "µm": 1.0,
    "micron": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "in": 25400.0,
    "inch": 25400.0,
}

# What screens and printers are said to have: programs write these when nobody has measured anything.
_PRINT_RESOLUTIONS = (72, 96, 300)


def micrometres(length: float, unit: str) -> float | None:
    """Return ``length`` in micrometres, or None for a unit that is no length (pixels, an empty string)."""
    # Greek mu for the micro sign (ImageJ spells that one out as an escape), and one spelling for metre.
    unit = (
        unit.strip().lower().replace("\\u00b5", "µ").replace("\N{GREEK SMALL LETTER MU}", "µ").replace("metre", "meter")
    )
    factor = _MICROMETRES.get(unit) or _MICROMETRES.get(unit.removesuffix("s"))
    return None if factor is None else abs(float(length)) * factor


def spacing_from_dpi(per_inch: Sequence[float]) -> tuple[float, ...] | None:
    """Return the pixel size in µm of an image with so many pixels per inch, None where that is a printer's default."""
    if any(round(value, 1) in (0, 1, *_PRINT_RESOLUTIONS) for value in per_inch):
        return None
    return tuple(25400.0 / value for value in per_inch)


def complete(spacing: Sequence[float | None] | None) -> tuple[float, ...] | None:
    """Return ``spacing`` if every axis has a positive, finite one, otherwise None: half a spacing is no spacing."""
    if spacing is None:
        return None
    known = tuple(float(value) for value in spacing if value is not None and math.isfinite(value) and value > 0)
    return known if len(known) == len(spacing) else None
