"""Box plots of the scores of single images, the models side by side in every group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rockmonai.report.style import COLUMN, PAGE, UNITS, colours_of, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Columns = Mapping[str, NDArray[np.float64]]


def box_plots(tables: Mapping[str, Mapping[str, Columns]], baseline: str | None = "bicubic") -> Figure:
    """Return a figure with one plot a metric: a box a model in every group.

    A box is the middle half of the images and its line their median; the whiskers reach to the last images within 1.5
    times the length of the box, the dots are the others. Values that are not finite are left out.

    Args:
        tables: the value of every image, by metric, group and model (see :func:`rockmonai.report.tables_of`).
        baseline: the model that is drawn in grey.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    groups = next(iter(tables.values()))
    models = list(next(iter(groups.values())))
    colours = colours_of(models, baseline if baseline in models else None)
    width = min(max(COLUMN, 0.28 * len(groups) * (len(models) + 1) + 0.8), PAGE)
    with style():
        figure = Figure((width, 0.3 + 2.0 * len(tables)))
        plots = figure.subplots(len(tables), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (metric, table) in zip(plots, tables.items(), strict=True):
            _draw(axes, table, colours)
            axes.set_ylabel(UNITS.get(metric, metric))
        names = [f"{group}\n(n = {len(next(iter(columns.values())))})" for group, columns in groups.items()]
        plots[-1].set_xticks(range(len(names)), names)
        handles = [Patch(facecolor=colour, label=model) for model, colour in colours.items()]
        figure.align_ylabels(plots)
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4))
    return figure


def _draw(axes: Axes, table: Mapping[str, Columns], colours: Mapping[str, str]) -> None:
    step = 0.8 / len(colours)
    for number, (model, colour) in enumerate(colours.items()):
        values = [columns[model][np.isfinite(columns[model])] for columns in table.values()]
        made = axes.boxplot(
            values,
            positions=np.arange(len(table)) + (number - (len(colours) - 1) / 2) * step,
            widths=0.8 * step,
            patch_artist=True,
            boxprops={"facecolor": colour, "edgecolor": colour, "linewidth": 0.8},
            medianprops={"color": "black", "linewidth": 0.8},
            whiskerprops={"color": colour, "linewidth": 0.8},
            capprops={"color": colour, "linewidth": 0.8},
            flierprops={"marker": ".", "markersize": 2, "markerfacecolor": colour, "markeredgecolor": colour},
            manage_ticks=False,
        )
        for median in made["medians"]:
            median.set_gid(model)
    axes.yaxis.grid(True, linewidth=0.4, color="0.88")
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", length=0)
