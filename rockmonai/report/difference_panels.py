"""Example images: the target, what was made of the coarse scan, and where that differs from the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rockmonai.report.style import LINE, PAGE, in_lines, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Image = NDArray[np.float32]


def difference_panels(examples: Mapping[str, Mapping[str, Image]], side: int = 192) -> Figure:
    """Return a figure with a row an example: target, the other images, and their absolute differences from the target.

    The greys of a row span those of its target but for 1 % at either end. All differences have one scale of colours,
    which ends where 99.5 % of them lie.

    Args:
        examples: by the name of the row; images (Y, X) of one size by their titles, of which the target is the first.
        side: pixels of the window that is shown, cut from the middle: the texture of a whole image is too fine to be
            seen in a figure.
    """
    from matplotlib.figure import Figure

    shown = {row: {title: _middle(image, side) for title, image in images.items()} for row, images in examples.items()}
    differences = {row: absolute_differences(images) for row, images in shown.items()}
    top = float(np.quantile(np.concatenate([d.ravel() for row in differences.values() for d in row.values()]), 0.995))
    target, *others = next(iter(shown.values()))
    panel = (PAGE - 1.2) / (2 * len(others) + 1)
    titles = [in_lines(title, panel) for title in others]
    columns = [in_lines(target, panel), *titles, *(f"{title}\n|difference|" for title in titles)]
    above = LINE * (1 + max(title.count("\n") for title in columns))
    with style():
        figure = Figure((PAGE, 0.2 + above + len(shown) * (panel + 0.05)))
        plots = figure.subplots(len(shown), len(columns), squeeze=False)
        for line, (row, images) in zip(plots, shown.items(), strict=True):
            low, high = np.quantile(next(iter(images.values())), (0.01, 0.99))
            for axes, image in zip(line, images.values(), strict=False):
                axes.imshow(image, cmap="gray", vmin=low, vmax=high)
            for axes, image in zip(line[len(images) :], differences[row].values(), strict=True):
                scale = axes.imshow(image, cmap="magma", vmin=0, vmax=top or 1)
            line[0].set_ylabel(in_lines(row, panel))
        for axes, title in zip(plots[0], columns, strict=True):
            axes.set_title(title)
        for axes in plots.flat:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        figure.colorbar(
            scale, ax=plots, label="|difference|\n(greys from \N{MINUS SIGN}1 to 1)", aspect=30, extend="max"
        )
    return figure


def absolute_differences(images: Mapping[str, Image]) -> dict[str, Image]:
    """Return how far each image but the first is from the first, pixel by pixel, by its title."""
    (_, target), *others = images.items()
    return {title: np.abs(image - target) for title, image in others}


def _middle(image: Image, side: int) -> Image:
    first = [max(0, (length - side) // 2) for length in image.shape]
    return image[first[0] : first[0] + side, first[1] : first[1] + side]
