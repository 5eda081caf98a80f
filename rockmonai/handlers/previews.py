"""Pictures of a validation: input, prediction, target and error side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from ignite.engine import Events
from monai.engines.workflow import Workflow
from torch import Tensor

from rockmonai.volumes import atomic_write
from rockmonai.volumes.colour import paint, palette_of

ERROR_GAIN = 4


class Previews:
    """Saves one PNG a validation: a row for each of the first images, the middle slice of a volume.

    Where there is no label, a row shows how the prediction differs from the input instead of target and error.

    Args:
        output_dir: the pictures go to its folder ``previews``.
        rows: number of images shown.
        prefix: beginning of the file names.
        shown: key of what is shown as the input, of the output or of the record that it was made of.
        colours: red, green and blue of every class, 0 to 255, where ``pred`` and ``label`` are maps of classes; the
            error is then black where they differ. None for greys.
    """

    def __init__(
        self,
        output_dir: str,
        rows: int = 4,
        prefix: str = "epoch",
        shown: str = "image",
        colours: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.folder = Path(output_dir) / "previews"
        self.rows = rows
        self.prefix = prefix
        self.input = shown
        self.palette = None if colours is None else palette_of(colours)
        self.shown: list[np.ndarray] = []
        self.unpaired = False

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, an evaluator with decollated outputs ``image``, ``pred`` and ``label``."""
        if engine.state.rank > 0:
            return
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._save)

    def _start(self, engine: Workflow) -> None:
        self.shown = []

    def _collect(self, engine: Workflow) -> None:
        made = zip(engine.state.batch, engine.state.output, strict=True)
        items = [{**record, **output} for record, output in made][: self.rows - len(self.shown)]
        self.shown += [preview_row(item, self.input, self.palette) for item in items]
        self.unpaired |= any(item["label"] is None for item in items)

    def _save(self, engine: Workflow) -> None:
        if self.shown:
            self.folder.mkdir(parents=True, exist_ok=True)
            error = f"error x{ERROR_GAIN}" if self.palette is None else "error"
            against = [f"change x{ERROR_GAIN}"] if self.unpaired else ["target", error]
            sheet = contact_sheet(self.shown, ["input", "prediction", *against])
            with atomic_write(self.folder / f"{self.prefix}_{engine.state.epoch:03d}.png") as path:
                sheet.save(path, format="PNG")


def preview_row(item: Mapping[str, Tensor], shown: str = "image", palette: np.ndarray | None = None) -> np.ndarray:
    """Return ``item`` as one strip, uint8: input (``shown``) | pred | label | error, or without label | change.

    Args:
        item: ``pred`` and ``label``, greys in [-1, 1] or numbers of classes, and the input's greys in [-1, 1]. The
            label may be None where there are no classes.
        shown: key of the input.
        palette: colours of the classes, (3, N); None for greys.

    Returns:
        Greys, (H, 4 W) or (H, 3 W), or colours, (H, 4 W, 3).
    """
    image, pred = (middle_slice(item[key]) for key in (shown, "pred"))
    image = torch.nn.functional.interpolate(image[None, None], size=pred.shape)[0, 0]
    if item["label"] is None:
        return _as_greys(torch.cat([image, pred, ERROR_GAIN * (pred - image).abs() - 1], dim=1))
    label = middle_slice(item["label"])
    if palette is not None:
        maps = [paint(plane.numpy().astype(np.uint8)[None], palette) for plane in (pred, label)]
        strip = [_as_greys(image)[None].repeat(3, 0), *maps, _as_greys((pred == label) * 2.0 - 1)[None].repeat(3, 0)]
        return np.concatenate(strip, axis=2).transpose(1, 2, 0)
    error = ERROR_GAIN * (pred - label).abs() - 1
    return _as_greys(torch.cat([image, pred, label, error], dim=1))


def contact_sheet(rows: Sequence[np.ndarray], titles: Sequence[str]):
    """Return a PIL image: ``rows`` below each other (cut to the narrowest), with a caption above each column."""
    from PIL import Image, ImageDraw

    width = min(row.shape[1] for row in rows)
    body = np.concatenate([row[:, :width] for row in rows])
    sheet = Image.new("RGB" if body.ndim == 3 else "L", (width, body.shape[0] + 14), "white")
    sheet.paste(Image.fromarray(body), (0, 14))
    for column, title in enumerate(titles):
        ImageDraw.Draw(sheet).text((column * width // len(titles) + 4, 1), title, fill="black")
    return sheet


def _as_greys(values: Tensor) -> np.ndarray:
    return ((values + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()


def middle_slice(image: Tensor) -> Tensor:
    """Return the first channel of (C, [Z,] Y, X) as (Y, X), at the middle of Z."""
    plane = image.detach().float().cpu()[0]
    return plane[plane.shape[0] // 2] if plane.ndim == 3 else plane
