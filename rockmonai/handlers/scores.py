"""The scores of a validation: printed side by side with the baseline's, and written per image."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path

from ignite.engine import Events
from monai.engines.workflow import Workflow

from rockmonai.handlers.history import as_csv
from rockmonai.metrics import summary_of
from rockmonai.volumes import atomic_write, natural_key

MeanSem = tuple[float, float]

logger = logging.getLogger("rockmonai")


class Scores:
    """Prints each metric of the prediction beside the same metric of the baseline, on the very same images.

    A metric called ``psnr`` is paired with one called ``psnr_bicubic``. With ``output_dir`` it also leaves
    ``scores.csv`` (a row an image) and ``scores.json`` (mean, standard error of the mean, number of images, and what
    the caller says about the protocol). An image without a value, such as one without any of the region that a metric
    is restricted to, has an empty cell and counts in neither mean nor number; how many have one is printed.

    Args:
        baseline: the suffix by which a baseline's metric is known.
        output_dir: folder of the two files; None prints only.
        protocol: facts to keep with the figures, such as the data range.
        title: what the printed line begins with.
    """

    def __init__(
        self,
        baseline: str = "bicubic",
        output_dir: str | None = None,
        protocol: Mapping[str, object] | None = None,
        title: str = "validation",
    ) -> None:
        self.baseline = baseline
        self.folder = None if output_dir is None else Path(output_dir)
        self.protocol = dict(protocol or {})
        self.title = title
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
        details = {
            name: [None if math.isnan(value) else value for value in values.flatten().tolist()]
            for name, values in engine.state.metric_details.items()
        }
        summary = {name: summary_of(values) for name, values in engine.state.metric_details.items()}
        logger.info("%s: %s", self.title, side_by_side(summary, self.baseline))
        for name, values in details.items():
            if None in values:
                notice = "%s: %s is that of the %d of %d images that have its region"
                logger.info(notice, self.title, name, len(values) - values.count(None), len(values))
        if self.folder is not None:
            self._write(self.folder, details, summary)

    def _write(self, folder: Path, details: Mapping[str, list[float | None]], summary: Mapping[str, MeanSem]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {"name": name} | {metric: values[row] for metric, values in details.items()}
            for row, name in enumerate(self.names)
        ]
        report = {
            "images": len(rows),
            **self.protocol,
            "metrics": {
                name: {
                    "mean": None if math.isnan(mean) else mean,
                    "sem": sem if math.isfinite(sem) else None,
                    "images": len(rows) - details[name].count(None),
                }
                for name, (mean, sem) in summary.items()
            },
        }
        with atomic_write(folder / "scores.csv") as path:
            path.write_text(as_csv(sorted(rows, key=lambda row: natural_key(row["name"]))))
        with atomic_write(folder / "scores.json") as path:
            path.write_text(json.dumps(report, indent=2) + "\n")


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
