from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.transforms import Compose
from skimage.draw import disk

from rockmonai.errors import DataError, UsageError
from rockmonai.transforms import ColoursToClassesd, OpenVolumed, RandPairedCropd, painted_classes

COLOURS = [[255, 0, 0], [0, 255, 0], [0, 0, 0]]


@pytest.fixture
def painted():
    """An image, the same with three discs painted over it, and the numbers of the discs."""
    grey = np.random.default_rng(0).integers(20, 200, (48, 64), dtype=np.uint8)
    grey[40:44, 50:60] = 0  # naturally black
    painting, classes = np.stack([grey] * 3), np.zeros(grey.shape, np.int64)
    for number, (centre, colour) in enumerate(zip([(10, 10), (20, 40), (36, 20)], COLOURS, strict=True), start=1):
        rows, columns = disk(centre, 8, shape=grey.shape)
        painting[:, rows, columns] = np.array(colour, np.uint8)[:, None]
        classes[rows, columns] = number
    return torch.from_numpy(grey)[None], torch.from_numpy(painting), torch.from_numpy(classes)[None]


def test_what_was_painted_is_found_and_what_is_naturally_black_is_not(painted):
    image, painting, classes = painted
    found = painted_classes(painting, image, COLOURS)
    assert found.dtype == torch.int64 and torch.equal(found, classes)
    by_colour = painted_classes(painting, None, COLOURS, tolerance=0)
    assert torch.equal(by_colour != classes, (image == 0) & (classes == 0))


@pytest.mark.parametrize(("off", "tolerance", "seen"), [(3, 8, True), (8, 8, True), (9, 8, False), (1, 0, False)])
def test_a_colour_may_be_a_little_off(painted, off, tolerance, seen):
    image, painting, classes = painted
    black = classes[0] == 3
    painting[:, black] = off
    found = painted_classes(painting, image, COLOURS, tolerance)
    assert torch.equal(found, classes if seen else classes * (classes != 3))


def test_volumes_and_16_bits(painted):
    image, painting, classes = (torch.stack([one] * 2, 1) for one in painted)
    scaled = painted_classes(painting.to(torch.uint16), image.to(torch.uint16), COLOURS)
    assert torch.equal(scaled, classes)


def test_class_numbers_stay_class_numbers(painted):
    image, _, classes = painted
    read = ColoursToClassesd("label", COLOURS)({"image": image, "label": classes.to(torch.uint8)})
    assert read["label"].dtype == torch.int64 and torch.equal(read["label"], classes)


@pytest.mark.parametrize("value", [4, 137, -1])
def test_one_channel_of_greys_is_no_map_of_classes(value):
    label = torch.tensor([[[0, 3, value]]])
    with pytest.raises(DataError, match=f"class numbers, here from 0 to 3, but it has the value {value}: give it"):
        ColoursToClassesd("label", COLOURS)({"image": label, "label": label})


def test_what_does_not_fit_is_refused(painted):
    image, painting, _ = painted
    with pytest.raises(DataError, match="has 3 channels, found 2"):
        painted_classes(painting[:2], image, COLOURS)
    for other in (image[:, 1:], image.float() / 255):
        with pytest.raises(DataError, match="convert the image to the type that was painted over"):
            painted_classes(painting, other, COLOURS)
    with pytest.raises(UsageError, match=r"\[255, 0\] is not \[red, green, blue\]"):
        ColoursToClassesd("label", [[255, 0]])


def test_a_patch_of_a_real_label_has_the_classes_of_the_whole(real_data):
    folder = real_data / "shale_sem" / "train"
    record = {"image": str(folder / "images" / "1.tif"), "label": str(folder / "labels" / "1.tif")}
    keys, roi = ["image", "label"], [[0, 688], [0, 1024]]
    read = Compose([OpenVolumed(keys, {"image": "luma", "label": "keep"}), RandPairedCropd(keys, None, 2)])
    whole = read(record | {"roi": roi})
    classes = ColoursToClassesd("label", COLOURS)(whole)["label"]
    # The clay of this label has the grey 3 of its palette, which the colour itself does not find.
    clay = (classes == 3).sum()
    assert 0.02 < clay / classes.numel() < 0.023
    exact = painted_classes(whole["label"], None, COLOURS, tolerance=0)
    assert (exact == 3).sum() == 95 and torch.equal(exact[classes < 3] % 3, classes[classes < 3])
    part = read(record | {"roi": [[100, 228], [512, 640]]})
    patch = ColoursToClassesd("label", COLOURS)(part)["label"]
    assert patch.shape == (1, 128, 128) and torch.equal(patch, classes[:, 100:228, 512:640])


def test_a_label_on_disk_is_decoded_where_it_is_cut(real_data):
    folder = real_data / "shale_sem" / "train"
    record = {"image": str(folder / "images" / "1.tif"), "label": str(folder / "labels" / "1.tif")}
    keys = ["image", "label"]
    opened = OpenVolumed(keys, {"image": "luma", "label": "keep"})(record)
    lazy = ColoursToClassesd("label", COLOURS)(opened)["label"]
    assert lazy.shape == (1, 768, 1024) and lazy.path == opened["label"].path
    box = (slice(None), slice(100, 228), slice(512, 640))
    eager = ColoursToClassesd("label", COLOURS)({key: torch.from_numpy(opened[key][box]) for key in keys})["label"]
    assert torch.equal(lazy[box], eager)
