"""From a function of two images to an Ignite metric that keeps every image's value and hides none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Engine
from monai.handlers import IgniteMetricHandler
from monai.metrics import Cumulative

from rockmonai.errors import DataError, NumericalError

ImageFunction = Callable[..., torch.Tensor]
Phases = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor] | None]


class PerImageMetric(IgniteMetricHandler):
    """Averages ``function`` over the images that a MONAI evaluator has seen.

    ``engine.state.metrics[name]`` is the mean and ``engine.state.metric_details[name]`` holds the value of every
    image, (N, 1). MONAI's own metrics leave an image with NaN out of the mean without a word; this one stops. An image
    without any of the region ``within``, or without such a mask, has no value: NaN among the details, and the mean is
    that of the others, NaN where there are none.

    Args:
        function: returns one value per image, (B,), of two batches (B, C, ...); takes a mask (B, 1, ...) as ``within``.
        of: key of the images that are judged, of what the evaluator made or else of the records that it read.
        against: key of the images they are compared with.
        within: key of a 0/1 mask (1, ...), such as ``"charge"``, to which the function is restricted; None judges whole
            images.
        phases: makes class maps of the two images (1, C, ...) before they are compared, such as
            :class:`rockmonai.metrics.OtsuPhases`, or None of a pair that then has no value; None where the images are
            class maps already, or are compared as they are.

    Raises:
        NumericalError: in an evaluation, when an image holds NaN or infinite values.
        DataError: in an evaluation, when two images differ in shape, or there were none.
    """

    def __init__(
        self,
        function: ImageFunction,
        of: str = "pred",
        against: str = "label",
        within: str | None = None,
        phases: Phases | None = None,
    ) -> None:
        self.function = function
        self.phases = phases
        self.keys = (of, against)
        self.within = within
        super().__init__(_Accumulator(), save_details=True)  # type: ignore[arg-type]

    def iteration_completed(self, engine: Engine) -> None:
        """Add the images that ``engine`` has just made, with what else it judges of the records it made them of."""
        columns = [_column(engine, key) for key in self.keys]
        self.update(columns if self.within is None else [*columns, _found(engine, self.within)])

    def update(self, output: Sequence[Iterable[torch.Tensor]]) -> None:  # type: ignore[override]
        """Add one iteration's images (and masks), batches or lists of single ones."""
        for pred, label, *masks in zip(*output, strict=True):
            if masks and masks[0] is None:
                self.metric_fn.append(_no_value(label))
                continue
            for key, image in zip(self.keys, (pred, label), strict=True):
                _check_finite(key, image)
            # What the evaluator read is still on the CPU, what it made is not.
            restricted = {"within": masks[0][None].to(label.device)} if masks else {}
            images = pred.detach()[None].to(label.device), label.detach()[None]
            compared = self.phases(*images) if self.phases else images
            self.metric_fn.append(self.function(*compared, **restricted) if compared else _no_value(label))


class _Accumulator(Cumulative):
    """Collects values across iterations and ranks."""

    def aggregate(self) -> torch.Tensor:
        values = self.get_buffer()
        if values is None:
            raise DataError("No image was judged: the evaluation's data set is empty. Check its folder and pattern.")
        return values.nanmean()


def _no_value(label: torch.Tensor) -> torch.Tensor:
    return label.new_full((1,), torch.nan, dtype=torch.float32)


def check_same_shape(pred: torch.Tensor, label: torch.Tensor) -> None:
    """Raise a DataError unless the two batches have one shape; broadcasting would compare the wrong voxels."""
    if pred.shape != label.shape:
        raise DataError(
            f"Only images of one shape can be compared, found {tuple(pred.shape)} and {tuple(label.shape)}: "
            "check the scale of the network and of the pairs."
        )


def _check_finite(key: str, image: torch.Tensor) -> None:
    bad = int((~torch.isfinite(image)).sum())
    if bad:
        raise NumericalError(
            f"An image cannot be judged: {bad} of the {image.numel()} values of '{key}' are NaN or infinite. "
            "Lower the learning rate, or look for NaN in the input data."
        )


def _column(engine: Engine, key: str) -> list[torch.Tensor]:
    """Return what an evaluator made, or else what it read, under ``key``, image by image.

    Raises:
        DataError: there is no such thing for some image.
    """
    column = _found(engine, key)
    if any(image is None for image in column):
        raise DataError(f"A metric needs '{key}', which the records do not have: name its folder in 'folders'.")
    return column


def _found(engine: Engine, key: str) -> list[Any]:
    """Return the same, with None for an image of which there is no such thing."""
    state: Any = engine.state
    for items in (state.output, state.batch):
        if isinstance(items, Mapping) and key in items:
            return list(items[key])
        if not isinstance(items, Mapping) and any(key in record for record in items):
            return [record.get(key) for record in items]
    return [None] * len(state.output["pred"] if isinstance(state.output, Mapping) else state.output)
