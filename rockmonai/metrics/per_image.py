"""From a function of two images to an Ignite metric that keeps every image's value and hides none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from monai.handlers import IgniteMetricHandler, from_engine
from monai.metrics import CumulativeIterationMetric

from rockmonai.errors import DataError, NumericalError

ImageFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class PerImageMetric(IgniteMetricHandler):
    """Averages ``function`` over the images that a MONAI evaluator has seen.

    ``engine.state.metrics[name]`` is the mean and ``engine.state.metric_details[name]`` holds the value of every
    image, (N, 1). MONAI's own metrics leave an image with NaN out of the mean without a word; this one stops.

    Args:
        function: returns one value per image, (B,), of two batches (B, C, ...).
        of: key of the images that are judged.
        against: key of the images they are compared with.

    Raises:
        NumericalError: in an evaluation, when an image holds NaN or infinite values.
        DataError: in an evaluation, when two images differ in shape, or there were none.
    """

    def __init__(self, function: ImageFunction, of: str = "pred", against: str = "label") -> None:
        self.keys = (of, against)
        super().__init__(_Accumulator(function), output_transform=from_engine(self.keys), save_details=True)

    def update(self, output: Sequence[torch.Tensor | Sequence[torch.Tensor]]) -> None:
        """Add one iteration's images, batches or lists of single images."""
        for key, images in zip(self.keys, output, strict=True):
            for image in images:
                _check_finite(key, image)
        super().update(output)  # type: ignore[arg-type]


class _Accumulator(CumulativeIterationMetric):
    """Collects the values of a function of two batches, across iterations and ranks."""

    def __init__(self, function: ImageFunction) -> None:
        super().__init__()
        self.function = function

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None, **_: object) -> torch.Tensor:
        assert y is not None
        return self.function(y_pred, y)[:, None]

    def aggregate(self) -> torch.Tensor:
        values = self.get_buffer()
        if values is None:
            raise DataError("No image was judged: the evaluation's data set is empty. Check its folder and pattern.")
        return values.mean()


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
