"""The other images of a scan, where they lie as in a data set: under the same name, in a folder beside its own."""

from __future__ import annotations

from pathlib import Path

from rockmonai.errors import DataError


def partner(path: str, folder: str) -> str:
    """Return the file of the same name as ``path`` in ``folder`` beside its own: ``txm/a.tif`` of ``sem/a.tif``.

    Raises:
        DataError: it is not there.
    """
    own = Path(path)
    other = own.parent.parent / folder / own.name
    if not other.exists():
        raise DataError(f"There is no {other} to go with {path}: pass it as --{folder}_file.")
    return str(other)
