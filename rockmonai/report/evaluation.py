"""What an evaluation has left: the values of every image, and the examples that were kept."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rockmonai.errors import DataError
from rockmonai.volumes import list_scans, open_volume

ALL = "all images"


@dataclass(frozen=True)
class Evaluation:
    """The scores of one model on the images of a test.

    Args:
        folder: where it lies.
        names: of the images.
        groups: that each image belongs to.
        values: of every image, by the name of the metric; NaN for an image that has none.
        baseline: the suffix of the metrics of what the model is compared with; None where there are none.
    """

    folder: Path
    names: tuple[str, ...]
    groups: tuple[str, ...]
    values: dict[str, NDArray[np.float64]]
    baseline: str | None

    def examples(self, key: str) -> dict[str, NDArray[np.float32]]:
        """Return the images (Y, X) that were kept under ``key``, in [-1, 1], by their names."""
        folder = self.folder / "examples" / key
        made = {}
        for path in list_scans(folder) if folder.is_dir() else []:
            with open_volume(path, grey="keep") as image:
                made[path.stem] = np.asarray(image[0], np.float32)
        return made


def read_evaluation(folder: Path) -> Evaluation:
    """Return what the evaluation in ``folder`` has left.

    Raises:
        DataError: there are no scores, or they cannot be read.
    """
    table, summary = folder / "scores.csv", folder / "scores.json"
    for path in (table, summary):
        if not path.is_file():
            raise DataError(f"{folder} has no {path.name}: run evaluate.json of a bundle with --output_dir {folder}.")
    try:
        rows = list(csv.DictReader(table.read_text().splitlines()))
        baseline = json.loads(summary.read_text()).get("baseline")
        metrics = [column for column in rows[0] if column not in ("name", "group")]
        values = {name: np.array([float(row[name] or "nan") for row in rows]) for name in metrics}
        names = tuple(row["name"] for row in rows)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(
            f"The scores in {folder} are damaged: run its evaluation again with --overwrite true."
        ) from error
    groups = [row.get("group") or ALL for row in rows]
    return Evaluation(folder, names, tuple(groups if len(set(groups)) > 1 else [ALL] * len(rows)), values, baseline)


def check_same_images(evaluations: Sequence[Evaluation]) -> None:
    """Raise a DataError unless all evaluations judged the same images, the baseline's inputs being the same, too."""
    first = evaluations[0]
    for other in evaluations[1:]:
        if first.names != other.names:
            name = min(set(first.names) ^ set(other.names), default="the number of their windows")
            raise DataError(
                f"{first.folder} and {other.folder} judge different images ({len(first.names)} and {len(other.names)}, "
                f"not in both: {name}): evaluate both with the same --dataset_dir and --split."
            )
        for metric in first.values.keys() & other.values.keys():
            if first.baseline and metric.endswith(f"_{first.baseline}"):
                _check_same_inputs(first, other, metric)


def _check_same_inputs(first: Evaluation, other: Evaluation, metric: str) -> None:
    ours, theirs = first.values[metric], other.values[metric]
    differ = ~np.isclose(ours, theirs, rtol=1e-3, equal_nan=True)
    if differ.any():
        row = int(differ.argmax())
        raise DataError(
            f"{first.folder} and {other.folder} had different inputs ({metric} of {first.names[row]} is "
            f"{ours[row]:.4g} and {theirs[row]:.4g}): evaluate both with the same scale, degradation and grey range."
        )
