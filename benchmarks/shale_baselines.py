"""How well grey levels alone tell the classes of a shale: linear discriminant analysis and thresholds.

Usage: python benchmarks/shale_baselines.py [folder of the data set]
The data set is looked for in ROCKMONAI_TEST_DATA (default ../shared/data); nothing is written there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from monai.transforms import Compose
from skimage.filters import threshold_multiotsu
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from rockmonai.data import pairs
from rockmonai.metrics import iou
from rockmonai.transforms import ColoursToClassesd, OpenVolumed, WholeImaged
from rockmonai.volumes.colour import Grey

PROJECT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("ROCKMONAI_TEST_DATA", PROJECT.parent / "shared" / "data")) / "shale_sem"
CLASSES = ("mineral", "organic", "pore", "clay")
PAINTS = [[255, 0, 0], [0, 255, 0], [0, 0, 0]]
TEST_IMAGE = 4  # the fold that learns from the four training images and is judged by the test image
INFO_BAR = 80
KEYS = ["image", "label"]

Images = list[dict[str, torch.Tensor]]


def read(folder: Path, split: str, info_bar: int, grey: Grey = "luma", exact: bool = False) -> Images:
    """Return the pairs of a split as greys (C, Y, X) and classes (1, Y, X).

    ``exact`` takes whatever has precisely the colour of a class for that class, as the published code does.
    """
    greys: dict[Hashable, Grey] = {"image": grey, "label": "keep"}
    paints = {"image_key": None, "tolerance": 0} if exact else {"image_key": "image", "tolerance": 8}
    opened = Compose([OpenVolumed(KEYS, greys), ColoursToClassesd("label", PAINTS, **paints), WholeImaged(KEYS, 2)])
    folders = {"image": "images", "label": "labels"}
    found = pairs(folder, split, folders=folders, grey=greys, info_bar=info_bar, fold=TEST_IMAGE)
    return [opened(record) for record in found]


def pooled(images: Images, key: str) -> np.ndarray:
    """Return the pixels of all images, (pixels, C)."""
    return torch.cat([image[key].flatten(1) for image in images], 1).T.numpy()


def scores(pred: np.ndarray, images: Images) -> list[float]:
    """Return the IoU of every class, and their mean, of the class numbers (pixels,) predicted for all images."""
    maps = torch.from_numpy(pred)[None, None], torch.from_numpy(pooled(images, "label")).T[None]
    each = [iou(*maps, phase, absent="one").item() for phase in range(len(CLASSES))]
    return [*each, iou(*maps, absent="one", classes=len(CLASSES)).item()]


def discriminant(train: Images, *judged: Images) -> list[list[float]]:
    """Fit linear discriminant analysis to every pixel of the training images and return its scores on each set."""
    fitted = LinearDiscriminantAnalysis().fit(pooled(train, "image").astype(float), pooled(train, "label").ravel())
    return [scores(fitted.predict(pooled(images, "image").astype(float)), images) for images in judged]


def mineral(images: Images) -> list[float]:
    """Return the scores of nothing but mineral."""
    return scores(np.zeros(len(pooled(images, "label")), np.int64), images)


def otsu(images: Images) -> list[float]:
    """Cut each image at Otsu's three thresholds and return the scores of the parts under their best names."""
    cut = []
    for greys in (image["image"].numpy() for image in images):
        cut.append(np.digitize(greys, threshold_multiotsu(greys, classes=len(CLASSES)), right=True).ravel())
    parts = np.concatenate(cut)
    return max(
        (scores(np.array(names)[parts], images) for names in permutations(range(4))), key=lambda found: found[-1]
    )


def windows(images: Images) -> list[tuple[float, int, int]]:
    """Return, for every class, the highest IoU that a window of greys has with it, and the window's ends.

    All windows are tried on the very pixels that are judged: no choice of one window per class can do better.
    """
    greys, label = pooled(images, "image").ravel(), pooled(images, "label").ravel()
    every = _within(np.bincount(greys, minlength=256))
    best = []
    for number in range(len(CLASSES)):
        counts = np.bincount(greys[label == number], minlength=256)
        both = _within(counts)
        jaccard = both / (counts.sum() + every - both)
        low, high = np.unravel_index(jaccard.argmax(), jaccard.shape)
        best.append((float(jaccard[low, high]), int(low), int(high)))
    return best


def _within(counts: np.ndarray) -> np.ndarray:
    """Return how many pixels each window [low, high] of greys holds, 0 where high < low."""
    below = np.concatenate([[0], counts.cumsum()])
    return np.triu(below[None, 1:] - below[:-1, None])


def row(name: str, info_bar: int, train: Sequence[float], test: Sequence[float]) -> None:
    """Print a line of the table."""
    numbers = " | ".join(f"{number:.4f}" for number in (train[-1], test[-1], *test[:-1]))
    print(f"| {name} | {'cropped' if info_bar else 'in'} | {numbers} |", flush=True)


def main(folder: Path) -> None:
    """Print the table."""
    print(f"| | info bar | training set | test image | {' | '.join(CLASSES)} |\n|---|---|---|---|---|---|---|---|")
    asked: list[tuple[str, int, Grey, bool]] = [
        ("LDA, colours as on disk", 0, "keep", True),
        ("LDA, palette indices", 0, "index", True),
        ("LDA, colours as on disk", INFO_BAR, "keep", True),
        ("LDA, labels as painted", INFO_BAR, "luma", False),
    ]
    for name, info_bar, grey, exact in asked:
        train, test = (read(folder, split, info_bar, grey, exact) for split in ("train", "test"))
        row(name, info_bar, *discriminant(train, train, test))
        if grey == "keep":
            row("all mineral", info_bar, mineral(train), mineral(test))
    row("multi-Otsu, best names", INFO_BAR, otsu(train), otsu(test))
    found = [windows(images) for images in (train, test)]
    shares = [[share for share, _, _ in best] for best in found]
    row("best windows", INFO_BAR, *([*best, sum(best) / len(best)] for best in shares))
    ends = (f"{name} {low} to {high}" for name, (_, low, high) in zip(CLASSES, found[1], strict=True))
    print(f"\nWindows of the test image: {', '.join(ends)}")


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if sys.argv[1:] else DATA
    if not folder.is_dir():
        sys.exit(f"No shale in {folder}; name its folder or set ROCKMONAI_TEST_DATA.")
    main(folder)
