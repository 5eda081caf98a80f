"""How much texture of each size the predictions have, beside that of the target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rockmonai.petrophysics import power_spectrum
from rockmonai.report.style import COLUMN, PAGE, colours_of, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Image = NDArray[np.float32]


def spectra(examples: Mapping[str, Mapping[str, Image]], baseline: str | None = "bicubic") -> Figure:
    """Return a figure with a plot an example: the radially averaged power spectrum of every image.

    Where a curve runs below the target's, the image is smoother than the rock; above, it has texture that the rock has
    not. See :func:`rockmonai.petrophysics.power_spectrum`.

    Args:
        examples: by the title of the plot; images ([Z,] Y, X) by their names, of which the target is the first.
        baseline: the image that is drawn in grey.
    """
    from matplotlib.figure import Figure

    across = min(len(examples), 3)
    down = math.ceil(len(examples) / across)
    target, *others = next(iter(examples.values()))
    colours = {target: "black", **colours_of(others, baseline if baseline in others else None)}
    with style():
        figure = Figure((max(COLUMN, PAGE * across / 3), 0.3 + 2.2 * down))
        plots = figure.subplots(down, across, sharex=True, squeeze=False)
        for axes, (title, images) in zip(plots.flat, examples.items(), strict=False):
            for (name, image), dashes in zip(images.items(), cycle(("-", "-", "--", "-.", ":")), strict=False):
                frequency, power = power_spectrum(image)
                seen = (frequency > 0) & (frequency <= 0.5)
                axes.loglog(frequency[seen], power[seen], dashes, color=colours[name], label=name, gid=name)
            # Far below the rock's own texture a curve says nothing but how an interpolation rounds.
            axes.set_ylim(bottom=max(axes.get_ylim()[0], axes.lines[0].get_ydata().min() / 100))
            axes.set_title(title)
        for axes in plots.flat[len(examples) :]:
            axes.remove()
        for axes in plots[:, 0]:
            axes.set_ylabel("power (squared greys)")
        figure.supxlabel("frequency (cycles per voxel)", fontsize=8)
        handles, names = plots[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=min(len(names), 2 * plots.shape[1]))
    return figure
