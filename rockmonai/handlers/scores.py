"""The scores of a validation: printed side by side with the baseline's, and written per image."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ignite.engine import Events
from monai.engines.workflow import Workflow
from torch import Tensor

from rockmonai.handlers.history import as_csv
from rockmonai.metrics import group_of, statistics_of, summary_of
from rockmonai.volumes import atomic_write, natural_key

MeanSem = tuple[float, float]
Values = Mapping[str, Tensor]  # of every image, by the name of the metric

logger = logging.getLogger("rockmonai")


class Scores:
    """Prints each metric of the prediction beside the same metric of the baseline, on the very same images.

    A metric called ``psnr`` is paired with one called ``psnr_bicubic``. With ``output_dir`` it also leaves
    ``scores.csv`` (a row an image) and ``scores.json`` (mean, standard deviation, standard error of the mean, number of
    images, and what the caller says about the protocol). With ``groups`` every row names the group of its image, and
    each group has a printed line and an entry in ``scores.json`` of its own. An image without a value, such as one
    without any of the region that a metric is restricted to, has an empty cell and counts in neither mean nor number;
    how many have one is printed.

    Args:
        baseline: the suffix by which a baseline's metric is known.
        output_dir: folder of the two files; None prints only.
        protocol: facts to keep with the figures, such as the data range.
        title: what the printed line begins with.
        groups: ``"prefix"`` groups the images by what precedes the first ``_`` of their names, which is the rock in the
            layout of DeepRock-SR; or a list of prefixes; None for no groups.
    """

    def __init__(
        self,
        baseline: str = "bicubic",
        output_dir: str | None = None,
        protocol: Mapping[str, object] | None = None,
        title: str = "validation",
        groups: Sequence[str] | str | None = None,
    ) -> None:
        self.baseline = baseline
        self.folder = None if output_dir is None else Path(output_dir)
        self.protocol = dict(protocol or {})
        self.title = title
        self.groups = groups
        self.names: list[str] = []

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, an evaluator whose metrics keep their details per image."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._report)

    def _start(self, engine: Workflow) -> None:
        self.names = []

    def _collect(self, engine: Workflow) -> None:
        self.names += [str(item.get("name", "")) for item in engine.state.batch]

    def _report(self, engine: Workflow) -> None:
        if engine.state.rank > 0:
            return
        values = {name: column.flatten() for name, column in engine.state.metric_details.items()}
        self._print(self.title, values)
        for name, column in values.items():
            missing = int(column.isnan().sum())
            if missing:
                notice = "%s: %s is that of the %d of %d images that have its region"
                logger.info(notice, self.title, name, len(column) - missing, len(column))
        groups = self._by_group(values)
        if len(groups) > 1:
            for group, columns in groups.items():
                self._print(f"{self.title}, {group}", columns)
        if self.folder is not None:
            self._write(self.folder, values, groups)

    def _print(self, title: str, values: Values) -> None:
        summary = {name: summary_of(column) for name, column in values.items()}
        logger.info("%s: %s", title, side_by_side(summary, self.baseline))

    def _by_group(self, values: Values) -> dict[str, Values]:
        """Return the values of each group's images, the groups in the order of their names."""
        if self.groups is None:
            return {}
        members: dict[str, list[int]] = {}
        for row, name in enumerate(self.names):
            members.setdefault(group_of(name, self.groups), []).append(row)
        return {
            group: {name: column[members[group]] for name, column in values.items()}
            for group in sorted(members, key=natural_key)
        }

    def _write(self, folder: Path, values: Values, groups: Mapping[str, Values]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        details = {
            name: [None if math.isnan(value) else value for value in column.tolist()] for name, column in values.items()
        }
        rows = [
            {"name": name}
            | ({} if self.groups is None else {"group": group_of(name, self.groups)})
            | {metric: column[row] for metric, column in details.items()}
            for row, name in enumerate(self.names)
        ]
        compared = any(name.endswith(f"_{self.baseline}") for name in values)
        report = {
            "images": len(rows),
            **({"baseline": self.baseline} if compared else {}),
            **self.protocol,
            "metrics": _statistics(values),
            **({"groups": {group: _statistics(columns) for group, columns in groups.items()}} if groups else {}),
        }
        with atomic_write(folder / "scores.csv") as path:
            path.write_text(as_csv(sorted(rows, key=lambda row: natural_key(row["name"]))))
        with atomic_write(folder / "scores.json") as path:
            path.write_text(json.dumps(report, indent=2) + "\n")


def _statistics(values: Values) -> dict[str, dict[str, float | int | None]]:
    return {name: statistics_of(column) for name, column in values.items()}


def side_by_side(summary: Mapping[str, MeanSem], baseline: str) -> str:
    """Return ``"PSNR 28.31 ± 0.12 (bicubic 25.22 ± 0.10)  SSIM ..."`` for ``psnr``, ``psnr_bicubic`` and so on.

    What has no value is left out.

    Args:
        summary: mean and standard error of each metric, by its name.
        baseline: the suffix by which a baseline's metric is known.
    """
    parts = []
    for name, value in summary.items():
        if not (name.endswith(f"_{baseline}") or math.isnan(value[0])):
            beside = summary.get(f"{name}_{baseline}")
            parts.append(f"{name.upper()} {_figure(value)}" + (f" ({baseline} {_figure(beside)})" if beside else ""))
    return "  ".join(parts)


def _figure(value: MeanSem) -> str:
    mean, sem = value
    return f"{mean:.4g}" + (f" ± {sem:.2g}" if math.isfinite(sem) else "")
