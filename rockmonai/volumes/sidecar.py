"""The JSON file beside voxels that have no header, or one without room for the spacing and the channels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rockmonai.errors import DataError
from rockmonai.volumes.source import Layout


def write_sidecar(sidecar: Path, layout: Layout) -> None:
    """Write what the bytes themselves do not say."""
    facts = {"shape": layout.stored, "dtype": layout.dtype.name, "axes": layout.axes, "spacing": layout.spacing}
    sidecar.write_text(json.dumps(facts | {"byte_order": "little", "offset": 0}) + "\n", "utf-8")


def stated_spacing(sidecar: Path, facts: Mapping[str, Any], axes: str) -> tuple[float, ...] | None:
    """Return micrometres along (z,) y, x as ``facts["spacing"]`` states them, None where it does not.

    Args:
        sidecar: the file that the facts come from, for the message.
        facts: its contents; ``spacing`` is one number for all axes, or one for each.
        axes: one letter per axis of the voxels.

    Raises:
        DataError: the spacing is something else.
    """
    if not facts.get("spacing"):
        return None
    spatial = [axis for axis in axes if axis in "ZYX"]
    try:
        return tuple(np.broadcast_to(np.asarray(facts["spacing"], float), len(spatial)).tolist())
    except (ValueError, TypeError):
        raise DataError(
            f"{sidecar} states the spacing {facts['spacing']} for the axes {', '.join(spatial).lower()}: "
            "give micrometres, one number for all axes or one for each."
        ) from None
