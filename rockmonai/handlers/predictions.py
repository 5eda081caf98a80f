"""The maps that a segmentation makes of the images it is judged by, kept as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Events
from monai.engines.workflow import Workflow
from torch import Tensor

from rockmonai.errors import DataError
from rockmonai.transforms import unscale_grey
from rockmonai.volumes import create_volume, make_writable, open_volume
from rockmonai.volumes.colour import paint, palette_of


class Predictions:
    """Saves the prediction of every image of an evaluation as TIFFs that bear its name.

    ``classes/<name>.tif`` holds the numbers of the classes, ``colours/<name>.tif`` shows them, and
    ``uncertainty/<name>.tif``, where the evaluator tells one, has 0 for certain and 255 for no idea. With
    ``torch.distributed`` every rank saves its own images. Files of an earlier evaluation are replaced.

    Args:
        output_dir: the folders go there.
        colours: red, green and blue of every class, 0 to 255; None for no pictures.
        data: the records that are evaluated; the files then have the pixel size of their images.

    Raises:
        UsageError: a colour is none.
        DataError: in an evaluation, two images have one name, a prediction is no map of classes, or a class has no
            colour.
    """

    def __init__(
        self,
        output_dir: str,
        colours: Sequence[Sequence[int]] | None = None,
        data: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.output_dir = Path(output_dir)
        self.images = {str(record["name"]): record["image"] for record in data}
        self.palette = None if colours is None else palette_of(colours)
        self.names: set[str] = set()

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, an evaluator with decollated outputs whose ``pred`` are numbers of classes."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._save)

    def _start(self, engine: Workflow) -> None:
        self.names = set()

    def _save(self, engine: Workflow) -> None:
        for record, output in zip(engine.state.batch, engine.state.output, strict=True):
            name = str(record["name"]).replace("/", "_")
            if name in self.names:
                raise DataError(f"Two images are called '{name}' and one file cannot hold both: name them differently.")
            self.names.add(name)
            spacing = self._spacing(str(record["name"]), output["pred"].ndim - 1)
            for folder, values in maps(output, self.palette).items():
                make_writable(self.output_dir / folder, "choose another --output_dir")
                path, colour = self.output_dir / folder / f"{name}.tif", folder == "colours"
                with create_volume(path, values.shape, values.dtype, spacing, overwrite=True, colour=colour) as file:
                    file[...] = values

    def _spacing(self, name: str, dims: int) -> tuple[float, ...] | None:
        """Return the pixel size of an image, of its last axes if it is a slice of a volume; None where unknown."""
        if name not in self.images:
            return None
        with open_volume(self.images[name], grey="keep") as volume:
            return volume.spacing and volume.spacing[-dims:]


def maps(output: Mapping[str, Tensor], palette: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return the 8-bit map (C, *spatial) that goes to each folder.

    Args:
        output: ``pred``, numbers of classes (1, *spatial), and, if there is one, ``uncertainty`` from 0 to 1.
        palette: colours of the classes, (3, N); None for no picture.

    Raises:
        DataError: ``pred`` is no map of classes, or a class has no colour.
    """
    pred = output["pred"]
    if len(pred) != 1 or not 0 <= int(pred.min()) <= int(pred.max()) < 256:
        raise DataError(
            f"A map of classes has one channel of numbers from 0 to 255, found {tuple(pred.shape)} from {pred.min():g} "
            f"to {pred.max():g}: take the argmax of logits in 'postprocessing'."
        )
    made = {"classes": pred.numpy(force=True).astype(np.uint8)}
    if palette is not None:
        made["colours"] = paint(made["classes"], palette)
    if "uncertainty" in output:
        made["uncertainty"] = unscale_grey(2 * output["uncertainty"] - 1, 0, 255, "uint8").numpy(force=True)
    return made
