"""How much more or less of a class a prediction shows: the error of a porosity or of an organic content."""

from __future__ import annotations

from functools import partial

import torch

from rockmonai.metrics.class_maps import check_class_maps
from rockmonai.metrics.per_image import PerImageMetric, Phases


def area_fraction_error(pred: torch.Tensor, label: torch.Tensor, phase: int, absolute: bool = False) -> torch.Tensor:
    """Return the share of a class in each image minus its share in the label, (B,), from -1 to 1.

    A fraction of all voxels, in volumes that of the volume; times 100 it is in percentage points. Above 0 where the
    image shows too much of the class.

    Args:
        pred: numbers of classes, (B, 1, ...), any dtype.
        label: what they should be, same shape.
        phase: number of the class.
        absolute: leave out the sign, so that errors of several images cannot cancel.

    Raises:
        DataError: for unequal shapes, or several channels.
    """
    check_class_maps(pred, label)
    shown, wanted = ((image == phase).flatten(1).sum(1) for image in (pred, label))
    error = ((shown - wanted).double() / label[0].numel()).float()
    return error.abs() if absolute else error


class AreaFractionError(PerImageMetric):
    """Mean of :func:`area_fraction_error` over images, for a MONAI evaluator: the bias, or the typical error.

    Args:
        phase: number of the class that is judged.
        absolute: average the errors without their signs; with them the mean is the bias of the network.
        of: key of the class maps that are judged.
        against: key of what they should be.
        phases: makes class maps of greys, see :class:`PerImageMetric`; None for class maps.
    """

    def __init__(
        self,
        phase: int,
        absolute: bool = False,
        of: str = "pred",
        against: str = "label",
        phases: Phases | None = None,
    ) -> None:
        super().__init__(partial(area_fraction_error, phase=phase, absolute=absolute), of, against, phases=phases)
