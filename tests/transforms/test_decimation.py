import numpy as np
import pytest
import torch
from PIL import Image

from rockmonai.errors import DataError
from rockmonai.transforms import Bicubicd, Decimated


@pytest.mark.parametrize("shape", [(1, 24, 36), (1, 12, 24, 18)])
@pytest.mark.parametrize("scale", [2, 3])
def test_area_is_the_mean_of_the_voxels_that_become_one(shape, scale):
    label = torch.rand(shape)
    expected = label
    for axis in range(1, label.ndim):
        expected = expected.unflatten(axis, (-1, scale)).mean(axis + 1)
    torch.testing.assert_close(Decimated("image", scale)({"image": label, "label": label})["image"], expected)


def test_a_measured_image_stays_as_it_is():
    image, label = torch.rand(1, 8, 8), torch.rand(1, 32, 32)
    assert Decimated("image", 4)({"image": image, "label": label})["image"] is image


def test_class_maps_keep_their_codes():
    classes = torch.randint(0, 3, (1, 16, 16), dtype=torch.uint8)
    small = Decimated("semantic", 4, kernel="nearest")({"semantic": classes, "label": classes})["semantic"]
    assert small.dtype == torch.uint8
    assert torch.equal(small, classes[:, 2::4, 2::4])


@pytest.mark.parametrize(("size", "label"), [((10, 8), (32, 32)), ((8, 8), (33, 33))])
def test_sizes_that_do_not_fit_are_reported(size, label):
    with pytest.raises(DataError, match="scale 4"):
        Decimated("image", 4)({"image": torch.rand(1, *size), "label": torch.rand(1, *label)})


def test_bicubic_baseline_is_pillows():
    image = np.random.default_rng(0).random((9, 12), dtype=np.float32)
    enlarged = Bicubicd(scale=4)({"image": torch.from_numpy(image)[None]})["bicubic"][0].numpy()
    expected = np.asarray(Image.fromarray(image).resize((48, 36), Image.Resampling.BICUBIC)).clip(-1, 1)
    np.testing.assert_allclose(enlarged, expected, atol=1e-6)
