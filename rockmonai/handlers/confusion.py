"""Which class was taken for which, counted over all images of an evaluation."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from ignite.engine import Events
from monai.engines.workflow import Workflow

from rockmonai.errors import DataError
from rockmonai.metrics import confusion_matrix
from rockmonai.volumes import atomic_write, make_writable

logger = logging.getLogger("rockmonai")


class Confusion:
    """Counts voxels by label and prediction, writes ``confusion.csv`` and prints how much of each class is found.

    A row of the table is a class of the label, a column one of the prediction. Printed are the share of each class
    that is found (recall) and the intersection over union of all images taken together, which weighs large images and
    rich ones more than the mean of the images' own does.

    Args:
        output_dir: folder of the table.
        classes: their names, in the order of their numbers.
        of: key of the class maps that are judged, of what the evaluator made or else of the records that it read.
        against: key of what they should be.

    Raises:
        DataError: in an evaluation, the maps have other shapes or other classes, or there is no such key.
    """

    def __init__(self, output_dir: str, classes: Sequence[str], of: str = "pred", against: str = "label") -> None:
        self.output_dir, self.classes, self.keys = Path(output_dir), list(classes), (of, against)
        self.counts = torch.zeros(len(self.classes), len(self.classes), dtype=torch.int64)

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, an evaluator with decollated outputs."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._count)
        engine.add_event_handler(Events.COMPLETED, self._report)

    def _start(self, engine: Workflow) -> None:
        self.counts.zero_()

    def _count(self, engine: Workflow) -> None:
        for record, output in zip(engine.state.batch, engine.state.output, strict=True):
            item = {**record, **output}
            absent = [key for key in self.keys if key not in item]
            if absent:
                raise DataError(f"A confusion of classes needs '{absent[0]}', which the records do not have.")
            pred, label = (torch.as_tensor(item[key])[None].cpu() for key in self.keys)
            self.counts += confusion_matrix(pred, label, len(self.classes))[0]

    def _report(self, engine: Workflow) -> None:
        if dist.is_initialized():
            together = self.counts.to(engine.state.device)
            dist.all_reduce(together)
            self.counts = together.cpu()
        if engine.state.rank > 0:
            return
        found, pooled = found_and_iou(self.counts)
        logger.info(
            f"found of each class: {self._named(found)}; iou_pooled {self._named(pooled)}, mean {pooled.nanmean():.4g}"
        )
        make_writable(self.output_dir, "choose another --output_dir")
        with atomic_write(self.output_dir / "confusion.csv") as path:
            path.write_text(as_table(self.counts, self.classes))

    def _named(self, values: torch.Tensor) -> str:
        pairs = zip(self.classes, values.tolist(), strict=True)
        return ", ".join(f"{name} {value:.4g}" for name, value in pairs)


def found_and_iou(counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the share of each class that is found and its intersection over union, (N,) each, from 0 to 1.

    NaN for a class that is nowhere in the labels; its intersection over union only if it is not predicted either.

    Args:
        counts: voxels by label (rows) and prediction (columns), (N, N).
    """
    hits, labelled, predicted = counts.diagonal().double(), counts.sum(1), counts.sum(0)
    return hits / labelled, hits / (labelled + predicted - hits)


def as_table(counts: torch.Tensor, classes: Sequence[str]) -> str:
    """Return counts (N, N) as CSV text: a row for each class of the label, a column for each of the prediction."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", *classes])
    writer.writerows([name, *row] for name, row in zip(classes, counts.tolist(), strict=True))
    return text.getvalue()
