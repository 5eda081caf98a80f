"""Thresholds between the greys of the classes of a rock, which the greys themselves suggest."""

from __future__ import annotations

import numpy as np
import torch

from rockmonai.data.patches import PatchDataset
from rockmonai.errors import DataError, UsageError


def otsu_thresholds(dataset: PatchDataset, classes: int, patches: int = 16, key: str = "image") -> list[float]:
    """Return the greys between the classes of a data set's first patches, ascending, see :func:`multi_otsu`.

    What a training begins with, such as the thresholds of :class:`rockmonai.networks.Thresholds`. A patch is a function
    of its number, and so are the thresholds of the data set.

    Args:
        dataset: the patches, of greys in [-1, 1].
        classes: how many, 2 or more.
        patches: how many patches are looked at, from number 0 on.
        key: key of the images (C, *spatial), of which the first channel counts.

    Raises:
        DataError: the patches have fewer greys than classes.
        UsageError: for less than two classes.
    """
    return multi_otsu(torch.cat([torch.as_tensor(dataset[draw][key][0]).flatten() for draw in range(patches)]), classes)


def multi_otsu(greys: torch.Tensor, classes: int) -> list[float]:
    """Return the thresholds, one fewer than ``classes`` and ascending, that make the classes most uniform.

    The variance between the classes is the greatest that it can be in a histogram of 256 bins. Otsu, A threshold
    selection method from gray-level histograms, https://doi.org/10.1109/TSMC.1979.4310076; for several classes Liao,
    Chen, Chung, A fast algorithm for multilevel thresholding, Journal of Information Science and Engineering 17, 2001,
    as scikit-image has it. It names the bin where a class ends, with all empty ones above it equally good; the
    threshold is in the middle of these, or the upper edge of the bin. A grey that reaches a threshold is above it.

    Args:
        greys: any shape.
        classes: how many, 2 or more.

    Raises:
        DataError: there are fewer greys than classes.
        UsageError: for less than two classes.
    """
    from skimage.filters import threshold_multiotsu

    if classes < 2:
        raise UsageError(f"Thresholds divide 2 classes or more, found classes={classes}.")
    counts, edges = np.histogram(greys.double().cpu().numpy(), 256)
    if np.count_nonzero(counts) < classes:
        raise DataError(
            f"The greys of {classes} classes are at least as many, found {np.count_nonzero(counts)}: ask for fewer "
            "classes, or look at images that show them all."
        )
    last = threshold_multiotsu(hist=(counts, np.arange(256)), classes=classes)  # bin of each class but the highest
    filled = np.flatnonzero(counts)
    after = np.searchsorted(filled, last, side="right")
    return ((edges[filled[after - 1] + 1] + edges[filled[after]]) / 2).tolist()
