"""How well the pore walls of a rock are met as statistics: their surface, their roughness, how pores are arranged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from rockmonai.metrics.class_maps import check_class_maps
from rockmonai.metrics.per_image import PerImageMetric, Phases
from rockmonai.petrophysics import roughness, specific_surface, two_point_error


def phase_error(
    pred: torch.Tensor, label: torch.Tensor, phase: int, error: Callable[[torch.Tensor, torch.Tensor], float]
) -> torch.Tensor:
    """Return the ``error`` that each image makes in a class, (B,).

    Args:
        pred: numbers of classes, (B, 1, [Z,] Y, X), any dtype.
        label: what they should be, same shape.
        phase: number of the class.
        error: compares the masks of the class ([Z,] Y, X) in an image and in its label.

    Raises:
        DataError: for unequal shapes, or several channels.
    """
    check_class_maps(pred, label)
    errors = [error(one == phase, other == phase) for one, other in zip(pred[:, 0], label[:, 0], strict=True)]
    return torch.tensor(errors, dtype=torch.float32, device=pred.device)


def relative_error(pred: torch.Tensor, label: torch.Tensor, of: Callable[[torch.Tensor], float]) -> float:
    """Return by what share of it the measure ``of`` a mask is above that of its label; NaN where that is 0 or NaN."""
    wanted = of(label)
    return of(pred) / wanted - 1 if wanted else float("nan")


class SpecificSurfaceError(PerImageMetric):
    """Mean over images of the relative error of :func:`~rockmonai.petrophysics.specific_surface`, above -1.

    Below 0 where walls are too smooth or too few, -1 where there are none. An image whose label has no wall has no
    value.

    Args:
        phase: number of the class whose walls are judged.
        of: key of the class maps that are judged.
        against: key of what they should be.
        phases: makes class maps of greys, see :class:`PerImageMetric`; None for class maps.
    """

    def __init__(self, phase: int, of: str = "pred", against: str = "label", phases: Phases | None = None) -> None:
        error = partial(relative_error, of=specific_surface)
        super().__init__(partial(phase_error, phase=phase, error=error), of, against, phases=phases)


class RoughnessError(PerImageMetric):
    """Mean over images of the relative error of :func:`~rockmonai.petrophysics.roughness`, above -1.

    Below 0 where walls are too smooth, whatever their place. An image has no value where it or its label has no wall
    in the coarse view; one without any wall shows in :class:`SpecificSurfaceError`.

    Args:
        phase: number of the class whose walls are judged.
        coarsening: voxels along each axis of a block of the coarse view, 2 or more.
        of: key of the class maps that are judged.
        against: key of what they should be.
        phases: makes class maps of greys, see :class:`PerImageMetric`; None for class maps.
    """

    def __init__(
        self,
        phase: int,
        coarsening: int = 4,
        of: str = "pred",
        against: str = "label",
        phases: Phases | None = None,
    ) -> None:
        error = partial(relative_error, of=partial(roughness, coarsening=coarsening))
        super().__init__(partial(phase_error, phase=phase, error=error), of, against, phases=phases)


class TwoPointError(PerImageMetric):
    """Mean over images of :func:`~rockmonai.petrophysics.two_point_error`, from 0.

    An image whose label is all or nothing of the class has no value.

    Args:
        phase: number of the class whose arrangement is judged.
        lags: how many distances, from 0 to ``lags`` - 1 voxels.
        of: key of the class maps that are judged.
        against: key of what they should be.
        phases: makes class maps of greys, see :class:`PerImageMetric`; None for class maps.
    """

    def __init__(
        self, phase: int, lags: int = 32, of: str = "pred", against: str = "label", phases: Phases | None = None
    ) -> None:
        super().__init__(
            partial(phase_error, phase=phase, error=partial(two_point_error, lags=lags)), of, against, phases=phases
        )
