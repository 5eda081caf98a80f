"""How well the outlines of a class are met, which areas do not tell."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from scipy import ndimage

from rockmonai.metrics.class_maps import check_class_maps, classes_in
from rockmonai.metrics.per_image import PerImageMetric, Phases


def boundary_f(
    pred: torch.Tensor, label: torch.Tensor, phase: int | None = None, tolerance: float = 1.0
) -> torch.Tensor:
    """Return the boundary F-score of each image with its label, (B,), from 0 to 1.

    A boundary voxel is one of the class with a face neighbour of another class; the border of the image is no
    boundary. Precision is the share of the predicted boundary voxels that have one of the label within ``tolerance``,
    recall the share of the label's that have a predicted one, and the score their harmonic mean. Where neither image
    has a boundary there is nothing to judge: NaN. Where one has none the score is 0. Csurka, Larlus, Perronnin, What
    is a good evaluation measure for semantic segmentation?, https://doi.org/10.5244/C.27.32, who demand a distance
    below the tolerance rather than up to it.

    Args:
        pred: numbers of classes, (B, 1, [Z,] Y, X), any dtype.
        label: what they should be, same shape.
        phase: number of the class; None for the mean of those that have a boundary.
        tolerance: greatest Euclidean distance in voxels at which two boundary voxels meet, 0 for the same voxel.

    Raises:
        DataError: for unequal shapes, or several channels.
    """
    check_class_maps(pred, label)
    numbers = classes_in(pred, label) if phase is None else [phase]
    scores = [
        [_score(_boundary(one == number), _boundary(other == number), tolerance) for number in numbers]
        for one, other in zip(pred[:, 0], label[:, 0], strict=True)
    ]
    return torch.tensor(scores, device=pred.device).nanmean(1)


def _boundary(mask: torch.Tensor) -> np.ndarray:
    """Return the voxels of a mask (..., Y, X) with a face neighbour outside of it."""
    inside = mask.cpu().numpy()
    return inside & ~ndimage.binary_erosion(inside, border_value=1)


def _score(pred: np.ndarray, label: np.ndarray, tolerance: float) -> float:
    """Return the F-score of two sets of boundary voxels; NaN for two empty ones."""
    if not (pred.any() and label.any()):
        return 0.0 if pred.any() or label.any() else float("nan")
    precision, recall = _share_near(pred, label, tolerance), _share_near(label, pred, tolerance)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _share_near(voxels: np.ndarray, others: np.ndarray, tolerance: float) -> float:
    """Return the share of ``voxels`` at most ``tolerance`` away from one of the ``others``."""
    return float((ndimage.distance_transform_edt(~others)[voxels] <= tolerance).mean())


class BoundaryF(PerImageMetric):
    """Mean of :func:`boundary_f` over the images in which there is a boundary, for a MONAI evaluator.

    Args:
        of: key of the class maps that are judged.
        against: key of what they should be.
        phase: number of the class that is judged; None for the mean of those that have a boundary.
        tolerance: greatest distance in voxels at which two boundary voxels meet.
        phases: makes class maps of greys, see :class:`PerImageMetric`; None for class maps.
    """

    def __init__(
        self,
        of: str = "pred",
        against: str = "label",
        phase: int | None = None,
        tolerance: float = 1.0,
        phases: Phases | None = None,
    ) -> None:
        super().__init__(partial(boundary_f, phase=phase, tolerance=tolerance), of, against, phases=phases)
