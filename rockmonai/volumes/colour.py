"""Colour images as grey levels: kept, weighed, or refused, never guessed."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from rockmonai.errors import DataError, UsageError

Grey = Literal["strict", "luma", "keep", "index"]

# ITU-R BT.601, the weights of PIL's convert("L").
_LUMA = np.array([0.299, 0.587, 0.114])


def check_grey(grey: str) -> None:
    """Refuse a word that names no way of treating colours.

    Raises:
        UsageError: the word is unknown.
    """
    if grey not in get_args(Grey):
        raise UsageError(f"grey={grey!r} is unknown: it is one of {', '.join(get_args(Grey))}.")


def grey_of(grey: Grey | Mapping[Hashable, Grey], key: Hashable) -> Grey:
    """Return the word for one key of a record: the only one, or that of a mapping, where ``"strict"`` is unsaid."""
    return grey.get(key, "strict") if isinstance(grey, Mapping) else grey


def palette_of(colours: Sequence[Sequence[int]], classes: int = 0) -> np.ndarray:
    """Return the colours of classes as `paint` takes them, (3, N) uint8.

    Args:
        colours: red, green and blue of every class, 0 to 255.
        classes: how many there must be at least.

    Raises:
        UsageError: something else than such colours, or a class without one.
    """
    bad = [one for one in colours if len(one) != 3 or not all(part in range(256) for part in one)]
    if bad:
        raise UsageError(f"{bad[0]} is no colour: give red, green and blue from 0 to 255, as in [255, 0, 0].")
    if len(colours) < classes:
        raise UsageError(
            f"There are {len(colours)} colours for {classes} classes: add one for class {len(colours)} to 'colours'."
        )
    return np.array(colours, np.uint8).reshape(-1, 3).T


def paint(index: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return the colours (3, ...) of palette indices (1, ...).

    Raises:
        DataError: an index has no colour.
    """
    if index.size and index.max() >= palette.shape[1]:
        raise DataError(f"a palette of {palette.shape[1]} colours has none for the index {index.max()}.")
    return palette[:, index[0]]


def to_channels(rgb: np.ndarray, grey: Grey, name: str) -> np.ndarray:
    """Return the channels that ``grey`` makes of colours, in the colours' own dtype.

    Args:
        rgb: red, green and blue, (3, ...).
        grey: ``"strict"`` wants the three equal and gives one channel, ``"luma"`` weighs them into one, ``"keep"``
            gives all three.
        name: the file, for the message.

    Returns:
        Array of shape (1, ...) or (3, ...).

    Raises:
        DataError: the colours differ and ``grey`` is strict; or class indices were asked of a file that has none.
    """
    if grey == "keep":
        return rgb
    if (rgb[0] == rgb[1]).all() and (rgb[0] == rgb[2]).all():
        return rgb[:1]
    if grey == "luma":
        weighed = np.tensordot(_LUMA, rgb, axes=1)[None]
        return (np.rint(weighed) if rgb.dtype.kind in "ui" else weighed).astype(rgb.dtype)
    if grey == "index":
        raise DataError(f'{name} has RGB colours and no palette, so there are no indices: pass grey="luma" or "keep".')
    raise DataError(
        f"{name} is a colour image whose red, green and blue differ: save it as grey levels "
        '(in Python, open_volume(..., grey="luma") weighs them into one channel, grey="keep" gives all three).'
    )
