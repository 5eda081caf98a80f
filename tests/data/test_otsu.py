from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.filters import threshold_multiotsu

from rockmonai.data import PatchDataset, multi_otsu, otsu_thresholds
from rockmonai.errors import DataError, UsageError


def mixture(centres, spread, count=20000):
    """Greys around each of ``centres``, as many of each."""
    generator = np.random.default_rng(0)
    return torch.from_numpy(np.concatenate([generator.normal(centre, spread, count) for centre in centres]))


def patches_of(greys, side=32, seed=0):
    """An endless set of windows of one image, the greys in its first channel and noise in its second."""
    chance = torch.Generator().manual_seed(0)
    order = torch.randperm(len(greys), generator=chance)
    image = torch.stack([greys, torch.rand(len(greys), generator=chance)]).float()[:, order]

    def window(record):
        start = int(
            torch.randint(image.shape[1] - side**2, (), generator=torch.Generator().manual_seed(record["name"]))
        )
        return {"image": image[:, start : start + side**2].reshape(2, side, side)}

    return PatchDataset([{"name": number} for number in range(5)], window, seed=seed)


@pytest.mark.parametrize("centres", [[-0.6, 0.4], [-0.8, -0.2, 0.6], [-0.8, -0.3, 0.2, 0.9]])
@pytest.mark.parametrize("spread", [0.01, 0.2])
def test_thresholds_lie_halfway_between_classes_that_are_equally_wide(centres, spread):
    greys = mixture(centres, spread)
    found = multi_otsu(greys, len(centres))
    assert found == pytest.approx(np.convolve(centres, [0.5, 0.5], "valid"), abs=0.03)
    if spread > 0.1:  # no empty bins between the classes
        width = float(greys.max() - greys.min()) / 256
        assert found == pytest.approx(threshold_multiotsu(greys.numpy(), len(centres)), abs=0.51 * width)


@pytest.mark.parametrize("greys", [[-1.0, -0.3, 1.0], [20.0, 102.0, 115.0], [0.0, 0.02, 3.0]])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_grey_of_an_image_of_few_lies_on_one_side(greys, classes):
    thresholds = multi_otsu(torch.tensor(greys).repeat(4, 5), classes)
    found = np.digitize(greys, thresholds).tolist()
    # In each of these two greys are nearer to each other than to the third.
    assert found == ([0, 1, 2] if classes == 3 else [0, 1, 1] if greys[0] == 20 else [0, 0, 1])


def test_the_first_patches_alone_decide():
    patches = patches_of(mixture([-0.6, 0.1, 0.7], 0.2))
    found = otsu_thresholds(patches, 3, patches=7)
    first = np.stack([patches[number]["image"][0] for number in range(7)])
    assert found == pytest.approx(threshold_multiotsu(first, 3), abs=0.02)
    assert found == otsu_thresholds(patches, 3, patches=7) != otsu_thresholds(patches, 3, patches=3)


def test_fewer_greys_than_classes_are_refused():
    with pytest.raises(DataError, match="4 classes are at least as many, found 3"):
        otsu_thresholds(patches_of(torch.arange(3).repeat(800)), 4)


def test_one_class_has_no_thresholds():
    with pytest.raises(UsageError, match="found classes=1"):
        multi_otsu(torch.rand(9), 1)
