"""How all figures look: readable at the width of a column, colours that everyone can tell apart, no display."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

COLUMN, PAGE = 3.5, 7.2  # inches, as journals print them
DPI = 300

LINE = 0.14  # inches from one line of a title to the next
_LETTER = 0.065  # inches, about, of a title

BASELINE = "#999999"
# Okabe and Ito, https://jfly.uni-koeln.de/color/, without the black and the yellow.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")

UNITS = {"psnr": "PSNR (dB)", "ssim": "SSIM"}

_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "figure.constrained_layout.use": True,
}


def style() -> AbstractContextManager[None]:
    """Return the context in which a figure is drawn."""
    import matplotlib

    return matplotlib.rc_context(_STYLE)


def in_lines(name: str, width: float) -> str:
    """Return a name in lines of about ``width`` inches or less, broken behind underscores where it has them."""
    lines = [""]
    for word in name.replace("_", "_\n").split("\n"):
        if lines[-1] and (len(lines[-1]) + len(word)) * _LETTER > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def colours_of(models: Iterable[str], baseline: str | None) -> dict[str, str]:
    """Return the colour of each model, grey for the baseline, beyond six from the beginning again."""
    others = [model for model in models if model != baseline]
    made = {model: COLOURS[number % len(COLOURS)] for number, model in enumerate(others)}
    return made if baseline is None else {baseline: BASELINE, **made}
