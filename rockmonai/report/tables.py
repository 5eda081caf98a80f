"""The values of several models side by side, group by group, on the very same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from rockmonai.errors import DataError
from rockmonai.metrics import summary_of
from rockmonai.report.evaluation import Evaluation
from rockmonai.report.style import UNITS
from rockmonai.volumes import natural_key

Values = NDArray[np.float64]
Tables = Mapping[str, Mapping[str, Mapping[str, Values]]]


def tables_of(evaluations: Mapping[str, Evaluation], metrics: Sequence[str]) -> Tables:
    """Return the values of every image: by metric, then group, then model, of which the baseline is the first.

    Args:
        evaluations: of the same images, by the name of the model.
        metrics: which of their metrics.

    Raises:
        DataError: an evaluation lacks a metric.
    """
    first = next(iter(evaluations.values()))
    for evaluation in evaluations.values():
        for metric in metrics:
            if metric not in evaluation.values:
                known = ", ".join(evaluation.values)
                raise DataError(f"{evaluation.folder} has no '{metric}', only {known}: choose among them by --metrics.")
    tables: dict[str, dict[str, dict[str, Values]]] = {}
    for metric in metrics:
        columns = {model: evaluation.values[metric] for model, evaluation in evaluations.items()}
        below = first.values.get(f"{metric}_{first.baseline}")
        if first.baseline is not None and below is not None:
            columns = {first.baseline: below, **columns}
        tables[metric] = {
            group: {model: values[np.array(first.groups) == group] for model, values in columns.items()}
            for group in sorted(set(first.groups), key=natural_key)
        }
    return tables


def as_text(tables: Tables) -> str:
    """Return one table a metric: a row a model, a column a group, mean ± standard error over the images."""
    made = []
    for metric, groups in tables.items():
        models = {model: [group[model] for group in groups.values()] for model in next(iter(groups.values()))}
        counts = [len(values) for values in next(iter(models.values()))]
        head = [UNITS.get(metric, metric), *(f"{name} ({count})" for name, count in zip(groups, counts, strict=True))]
        if len(groups) > 1:
            head.append(f"all ({sum(counts)})")
            models = {model: [*columns, np.concatenate(columns)] for model, columns in models.items()}
        rows = [head, *([model, *map(_mean, columns)] for model, columns in models.items())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        made.append("\n".join(lines))
    return "\n\n".join(made)


def _mean(values: Values) -> str:
    mean, sem = summary_of(torch.from_numpy(values))
    return f"{mean:.4g}" + (f" ± {sem:.2g}" if np.isfinite(sem) else "")
