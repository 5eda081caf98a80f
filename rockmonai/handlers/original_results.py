"""The folder of results that the original TXM2SEM code leaves, for scripts that read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ignite.engine import Events
from monai.engines.workflow import Workflow
from torch import Tensor

from rockmonai.errors import DataError
from rockmonai.handlers.scores import side_by_side
from rockmonai.metrics import summary_of
from rockmonai.metrics.eight_bit import eight_bit
from rockmonai.volumes import create_volume

FOLDERS = {"image": "txm", "label": "sem", "pred": "sem_fake"}
MASKS = {"charge": "charge", "lowdensity": "lowdensity", "highdensity": "highdensity"}


class OriginalResults:
    """Saves every window as ``<folder>/000.png``, ``001.png``, ..., and appends a line to ``eval_metrics.txt``.

    The greys are those that the 8-bit metrics judge, and the line has the mean and the standard error of every metric.
    Pictures of an earlier evaluation of the same folder are replaced.

    Args:
        output_dir: the folders and the file go there.
        folders: folder of each key with values in [-1, 1].
        masks: folder of each 0/1 mask, saved as 0 and 255; one that a record does not have is left out.
        title: what the line begins with.
        baseline: the suffix by which the metrics of what the prediction is compared with are known.
    """

    def __init__(
        self,
        output_dir: str,
        folders: Mapping[str, str] = FOLDERS,
        masks: Mapping[str, str] = MASKS,
        title: str = "test",
        baseline: str = "input",
    ) -> None:
        self.output_dir = Path(output_dir)
        self.folders, self.masks = dict(folders), dict(masks)
        self.title, self.baseline = title, baseline
        self.count = 0

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, an evaluator of 2D images whose metrics keep their details per image."""
        if engine.state.rank > 0:
            return
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._save)
        engine.add_event_handler(Events.COMPLETED, self._append)

    def _start(self, engine: Workflow) -> None:
        self.count = 0
        for folder in (*self.folders.values(), *self.masks.values()):
            for picture in (self.output_dir / folder).glob("[0-9]*.png"):
                picture.unlink()

    def _save(self, engine: Workflow) -> None:
        for record, output in zip(engine.state.batch, engine.state.output, strict=True):
            for folder, picture in pictures({**record, **output}, self.folders, self.masks).items():
                (self.output_dir / folder).mkdir(parents=True, exist_ok=True)
                path = self.output_dir / folder / f"{self.count:03d}.png"
                with create_volume(path, picture.shape, np.uint8, overwrite=True) as file:
                    file[...] = picture
            self.count += 1

    def _append(self, engine: Workflow) -> None:
        found = {name: summary_of(values) for name, values in engine.state.metric_details.items()}
        with open(self.output_dir / "eval_metrics.txt", "a", encoding="utf-8") as file:
            file.write(f"{self.title}, {self.count} images: {side_by_side(found, self.baseline)}\n")


def pictures(
    record: Mapping[str, Tensor], folders: Mapping[str, str], masks: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Return the 8-bit picture (1, Y, X) that goes to each folder.

    Args:
        record: images (1, Y, X) in [-1, 1] and 0/1 masks (1, Y, X).
        folders: folder of each image.
        masks: folder of each mask that the record may have.

    Raises:
        DataError: the record lacks one of the images.
    """
    missing = [key for key in folders if key not in record]
    if missing:
        raise DataError(
            f"The records have no '{missing[0]}' to be saved in '{folders[missing[0]]}': correct 'folders'."
        )
    made = {folder: eight_bit(record[key]) for key, folder in folders.items()}
    made |= {folder: (record[key] != 0) * 255 for key, folder in masks.items() if key in record}
    return {folder: picture.numpy(force=True).astype(np.uint8) for folder, picture in made.items()}
