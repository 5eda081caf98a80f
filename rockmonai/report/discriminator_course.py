"""How often the discriminator was right while it learned against the generator."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rockmonai.errors import DataError
from rockmonai.report.style import COLOURS, COLUMN, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACCURACIES = {"reals": "real_accuracy", "fakes": "fake_accuracy"}


def discriminator_course(trainings: Mapping[str, Path]) -> Figure:
    """Return a figure with a plot a training: the discriminator's accuracy on reals and fakes over the iterations.

    Each point is the mean of an epoch, drawn at its last iteration. Epochs without a discriminator are shaded. At the
    dotted line it can tell no more than a coin.

    Args:
        trainings: metrics.csv of each, by its name.

    Raises:
        DataError: a training has no accuracies, since it had no discriminator or no
            :class:`rockmonai.handlers.CollapseMonitor`.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure((COLUMN, 0.4 + 1.9 * len(trainings)))
        plots = figure.subplots(len(trainings), 1, squeeze=False)[:, 0]
        for axes, (name, path) in zip(plots, trainings.items(), strict=True):
            rows = accuracies(path)
            if not rows:
                raise DataError(f"{path} has no accuracies of a discriminator: train with one and a CollapseMonitor.")
            for (which, column), colour in zip(ACCURACIES.items(), COLOURS, strict=False):
                points = [row["iteration"] for row in rows], [row[column] for row in rows]
                axes.plot(*points, ".-", markersize=4, color=colour, label=f"on {which}", gid=which)
            warmup, last = rows[0]["before"], rows[-1]["iteration"]
            for begin, end, text in ((0.0, warmup, "warm-up"), (warmup, last, "adversarial")):
                if end > begin:
                    axes.text((begin + end) / 2, 0.03, text, ha="center", fontsize=7, color="0.35")
            axes.axvspan(0, warmup, color="0.92", linewidth=0)
            axes.axhline(0.5, color="0.5", linewidth=0.8, linestyle=":")
            axes.set(title=name, ylabel="accuracy of the\ndiscriminator", ylim=(-0.02, 1.02))
            axes.set_xlim(0, 1.02 * last)
        plots[-1].set_xlabel("iteration")
        figure.legend(*plots[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def accuracies(path: Path) -> list[dict[str, float]]:
    """Return the epochs of a metrics.csv that have the accuracies: iteration, both, and the iterations ``before``."""
    rows, before = [], 0.0
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            if all(row.get(column) for column in ACCURACIES.values()):
                rows.append({"before": before} | {key: float(row[key]) for key in ("iteration", *ACCURACIES.values())})
            before = float(row["iteration"])
    return rows
