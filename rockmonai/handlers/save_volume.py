"""Writes the prediction of a volume as a volume: the input's dtype and its own voxel size."""

from __future__ import annotations

import logging
from pathlib import Path

from ignite.engine import Events
from monai.engines.workflow import Workflow

from rockmonai.errors import OutputError
from rockmonai.transforms import GreyRange, grey_limits, unscale_grey
from rockmonai.volumes import create_volume, make_writable, open_volume
from rockmonai.volumes.formats import creator

logger = logging.getLogger("rockmonai")


class SaveVolume:
    """Writes ``pred`` to a file, scaled back from [-1, 1] to the grey levels of the input.

    The voxel size is the input's, divided by the factor by which the prediction is larger.

    Args:
        output_file: where to write; the ending chooses the format (see :func:`rockmonai.volumes.create_volume`).
        input_file: the volume that the prediction was made from.
        grey_range: the range that the input was read with, ``"dtype"`` or ``[low, high]``.
        overwrite: replace an existing file.

    Raises:
        OutputError: if the file exists already and ``overwrite`` is not set.
    """

    def __init__(
        self,
        output_file: str,
        input_file: str,
        grey_range: GreyRange = "dtype",
        overwrite: bool = False,
    ) -> None:
        self.output_file = Path(output_file)
        self.input_file = input_file
        self.grey_range = grey_range
        self.overwrite = overwrite
        if self.output_file.exists() and not overwrite:
            raise OutputError(f"{output_file} exists already; pass --overwrite true or another --output_file.")
        creator(self.output_file)  # an ending that nothing writes is told before the work, not after it
        make_writable(self.output_file.parent, "choose another --output_file")

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, an evaluator of one volume."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Write the prediction of the iteration just completed."""
        source = open_volume(self.input_file)
        pred = engine.state.output[0]["pred"].cpu()
        spacing = source.spacing
        if spacing is not None:
            factors = [new / old for new, old in zip(pred.shape[1:], source.spatial_shape, strict=True)]
            spacing = tuple(s / f for s, f in zip(spacing[-len(factors) :], factors, strict=True))
        low, high = grey_limits(self.grey_range, source.dtype)
        with create_volume(self.output_file, pred.shape, source.dtype, spacing, overwrite=self.overwrite) as volume:
            volume[...] = unscale_grey(pred, low, high, source.dtype).numpy()
        logger.info("wrote %s: %s, %s, spacing %s µm", self.output_file, tuple(pred.shape), source.dtype, spacing)
