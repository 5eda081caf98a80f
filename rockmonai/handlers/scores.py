"""The scores of a validation: printed side by side with the baseline's, and written per image."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from ignite.engine import Events
from monai.engines.workflow import Workflow

from rockmonai.handlers.history import as_csv
from rockmonai.metrics import mean_sem
from rockmonai.volumes import atomic_write

logger = logging.getLogger("rockmonai")


class Scores:
    """Prints each metric of the prediction beside the same metric of the baseline, on the very same images.

    A metric called ``psnr`` is paired with one called ``psnr_bicubic``. With ``output_dir`` it also leaves
    ``scores.csv`` (a row an image) and ``scores.json`` (mean, standard error of the mean, number of images, and what
    the caller says about the protocol).

    Args:
        baseline: the suffix by which a baseline's metric is known.
        output_dir: folder of the two files; None prints only.
        protocol: facts to keep with the figures, such as the data range.
    """

    def __init__(
        self, baseline: str = "bicubic", output_dir: str | None = None, protocol: Mapping[str, object] | None = None
    ) -> None:
        self.baseline = baseline
        self.folder = None if output_dir is None else Path(output_dir)
        self.protocol = dict(protocol or {})
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
        logger.info("validation: %s", side_by_side(engine.state.metrics, self.baseline))
        if self.folder is not None:
            self._write({name: details.flatten().tolist() for name, details in engine.state.metric_details.items()})

    def _write(self, details: Mapping[str, list[float]]) -> None:
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {"name": name} | {metric: values[row] for metric, values in details.items()}
            for row, name in enumerate(self.names)
        ]
        summary = {
            metric: dict(zip(("mean", "sem"), mean_sem(values), strict=True)) for metric, values in details.items()
        }
        with atomic_write(self.folder / "scores.csv") as path:
            path.write_text(as_csv(rows))
        with atomic_write(self.folder / "scores.json") as path:
            path.write_text(json.dumps({"images": len(rows), **self.protocol, "metrics": summary}, indent=2) + "\n")


def side_by_side(metrics: Mapping[str, float], baseline: str) -> str:
    """Return ``"PSNR 28.31 (bicubic 26.10)  SSIM 0.812 (bicubic 0.701)"`` for ``psnr``, ``psnr_bicubic`` and so on."""
    parts = []
    for name, value in metrics.items():
        if not name.endswith(f"_{baseline}"):
            beside = metrics.get(f"{name}_{baseline}")
            parts.append(f"{name.upper()} {value:.4g}" + ("" if beside is None else f" ({baseline} {beside:.4g})"))
    return "  ".join(parts)
