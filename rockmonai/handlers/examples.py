"""A few images of an evaluation, kept in full precision for figures and further analysis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ignite.engine import Events
from monai.engines.workflow import Workflow

from rockmonai.handlers.previews import middle_slice
from rockmonai.metrics import group_of
from rockmonai.volumes import create_volume, make_writable, natural_key


class Examples:
    """Saves one image of every group as ``examples/<key>/<name>.tif``, float32, the middle slice of a volume.

    The values are those that the metrics judge, so that differences and spectra can be computed from them. It is the
    first image of its group by name, in whatever order they come: evaluations of the same images keep the same.

    Args:
        output_dir: the folder ``examples`` goes there.
        groups: as in :class:`rockmonai.handlers.Scores`; None takes all images for one group.
        count: groups of which an example is kept, at most, the first by name.
        keys: what is kept, of the output or of the record that it was made of.
    """

    def __init__(
        self,
        output_dir: str,
        groups: Sequence[str] | str | None = None,
        count: int = 6,
        keys: Sequence[str] = ("label", "bicubic", "pred"),
    ) -> None:
        self.folder = Path(output_dir) / "examples"
        self.groups = groups
        self.count = count
        self.keys = tuple(keys)
        self.kept: dict[str, tuple[str, dict[str, np.ndarray]]] = {}

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, an evaluator with decollated records and outputs."""
        if engine.state.rank > 0:
            return
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._save)

    def _start(self, engine: Workflow) -> None:
        self.kept = {}

    def _collect(self, engine: Workflow) -> None:
        for record, output in zip(engine.state.batch, engine.state.output, strict=True):
            name = str(record["name"])
            group = "" if self.groups is None else group_of(name, self.groups)
            if group not in self.kept or natural_key(name) < natural_key(self.kept[group][0]):
                item = {**record, **output}
                self.kept[group] = name, {key: middle_slice(item[key])[None].numpy() for key in self.keys}
            if len(self.kept) > self.count:
                del self.kept[max(self.kept, key=natural_key)]

    def _save(self, engine: Workflow) -> None:
        for name, images in self.kept.values():
            for key, image in images.items():
                make_writable(self.folder / key, "choose another --output_dir")
                path = self.folder / key / f"{name.replace('/', '_')}.tif"
                with create_volume(path, image.shape, np.float32, overwrite=True) as file:
                    file[...] = image
