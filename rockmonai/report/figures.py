"""From the folders of evaluations to a folder of figures: what ``rockmonai report`` does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rockmonai.errors import UsageError
from rockmonai.report.box_plots import box_plots
from rockmonai.report.difference_panels import difference_panels
from rockmonai.report.discriminator_course import accuracies, discriminator_course
from rockmonai.report.evaluation import ALL, Evaluation, check_same_images, read_evaluation
from rockmonai.report.spectra import spectra
from rockmonai.report.style import DPI
from rockmonai.report.tables import as_text, tables_of
from rockmonai.volumes import atomic_write, make_writable
from rockmonai.volumes.publish import refuse_existing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("box_plots", "differences", "spectra", "discriminator")


def write_figures(
    output: Path,
    folders: Sequence[Path],
    labels: Sequence[str] = (),
    metrics: Sequence[str] = ("psnr", "ssim"),
    overwrite: bool = False,
) -> str:
    """Write the figures of evaluations of the same images, and return the table of their means.

    ``box_plots.png`` shows the metrics, ``differences.png`` and ``spectra.png`` the examples that the evaluations kept
    (see :class:`rockmonai.handlers.Examples`), ``discriminator.png`` the trainings whose ``metrics.csv`` lies in the
    folder of an evaluation or the one above. What there is nothing to show of is not written.

    Args:
        output: folder of the figures.
        folders: of the evaluations.
        labels: a name for each of them; by default what tells their paths apart.
        metrics: of which there are box plots and tables.
        overwrite: replace the figures that are there.

    Raises:
        UsageError: there are not as many labels as evaluations, two are alike or stand for another image, or the output
            is an evaluation.
        DataError: an evaluation is missing or damaged, or judges other images or inputs than the first.
        OutputError: there are figures already, or they cannot be written.
    """
    if (output / "scores.csv").exists():
        raise UsageError(f"{output} is an evaluation, not a folder for figures: name one before the evaluations.")
    for name in NAMES:
        refuse_existing(output / f"{name}.png", overwrite)
    evaluations = dict(zip(_labels(folders, labels), map(read_evaluation, folders), strict=True))
    check_same_images(list(evaluations.values()))
    tables, baseline = tables_of(evaluations, metrics), next(iter(evaluations.values())).baseline
    _check_labels(evaluations, baseline)
    made: dict[str, Figure] = {"box_plots": box_plots(tables, baseline)}
    examples = examples_of(evaluations)
    if examples:
        made |= {"differences": difference_panels(examples), "spectra": spectra(examples, baseline)}
    trainings = _trainings(evaluations)
    if trainings:
        made["discriminator"] = discriminator_course(trainings)
    make_writable(output, "choose another folder")
    for name in NAMES:
        path = output / f"{name}.png"
        if name in made:
            with atomic_write(path) as partial:
                made[name].savefig(partial, format="png", dpi=DPI)
        else:
            path.unlink(missing_ok=True)  # that of other evaluations
    return as_text(tables)


def examples_of(evaluations: Mapping[str, Evaluation]) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Return the images that all evaluations kept: target, baseline and predictions of each, by its group or name."""
    first = next(iter(evaluations.values()))
    predictions = {model: evaluation.examples("pred") for model, evaluation in evaluations.items()}
    baseline = {} if first.baseline is None else {first.baseline: first.examples(first.baseline)}
    columns = {"target": first.examples("label"), **baseline, **predictions}
    groups = {name.replace("/", "_"): group for name, group in zip(first.names, first.groups, strict=True)}
    made = {}
    for name in columns["target"]:
        if all(name in images for images in columns.values()):
            group = groups.get(name, ALL)
            made[name if group == ALL else group] = {title: images[name] for title, images in columns.items()}
    return made


def _labels(folders: Sequence[Path], labels: Sequence[str]) -> list[str]:
    """Return a name for each evaluation: the last parts of their paths that are all different."""
    if labels:
        if len(labels) != len(folders) or len(set(labels)) < len(labels):
            raise UsageError(f"{len(folders)} evaluations need as many different --labels, found {', '.join(labels)}.")
        return list(labels)
    if len(folders) == 1:
        return ["prediction"]
    for parts in zip(*(reversed(folder.resolve().parts) for folder in folders), strict=False):
        if len(set(parts)) == len(parts):
            return list(parts)
    raise UsageError("Two evaluations cannot be told apart by their paths: name them with --labels first,second.")


def _check_labels(labels: Collection[str], baseline: str | None) -> None:
    for taken in ("target", baseline):
        if taken is not None and taken in labels:
            raise UsageError(f"A model cannot be called '{taken}', which is another image: name it with --labels.")


def _trainings(evaluations: Mapping[str, Evaluation]) -> dict[str, Path]:
    found = {}
    for model, evaluation in evaluations.items():
        for folder in (evaluation.folder, evaluation.folder.resolve().parent):
            path = folder / "metrics.csv"
            if path.is_file() and accuracies(path):
                found[model] = path
                break
    return found
