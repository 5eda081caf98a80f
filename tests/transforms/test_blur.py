import pickle

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, median_filter, uniform_filter, uniform_filter1d

from rockmonai.transforms import RandBlurd, blur
from rockmonai.transforms.blur import BLURS

RNG = np.random.default_rng(1)


@pytest.mark.parametrize("shape", [(24, 31), (12, 14, 16)])
def test_each_kind_is_scipys_filter(shape):
    image = RNG.random(shape, dtype=np.float32)
    expected = {
        "gaussian": gaussian_filter(image, 1.4),
        "box": uniform_filter(image, 5),
        "median": median_filter(image, 5),
        "motion": uniform_filter1d(image, 5, axis=-1),
    }
    for kind, reference in expected.items():
        ours = blur(torch.from_numpy(image)[None], kind, 1.4)[0].numpy()
        np.testing.assert_allclose(ours, reference, atol=1e-6, err_msg=kind)


@pytest.mark.parametrize("kind", ["gaussian", "box"])
def test_sigma_is_the_spread_of_a_point(kind):
    point = torch.zeros(1, 61, 61)
    point[0, 30, 30] = 1
    x = torch.arange(61.0) - 30
    # A box of 7 voxels has the standard deviation 2 exactly.
    assert (blur(point, kind, 2.0)[0].sum(0) * x**2).sum().item() == pytest.approx(4.0, rel=0.01)


def test_motion_spreads_a_point_along_its_line_only():
    point = torch.zeros(1, 41, 41)
    point[0, 20, 20] = 1
    moved = blur(point, "motion", 3.0, direction=(3.0, 4.0))[0]
    rows, columns = torch.meshgrid(torch.arange(41.0) - 20, torch.arange(41.0) - 20, indexing="ij")
    along, across = 0.6 * rows + 0.8 * columns, 0.8 * rows - 0.6 * columns
    # Eleven steps of one voxel have the variance 10; linear interpolation adds less than a quarter voxel² on each axis.
    assert 10 <= (moved * along**2).sum().item() < 10.25
    assert (moved * across**2).sum().item() < 0.25
    assert moved.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("kind", BLURS)
def test_no_width_changes_nothing(kind):
    image = torch.rand(1, 9, 9)
    torch.testing.assert_close(blur(image, kind, 0.0), image)


def test_all_keys_get_the_same_blur():
    image = torch.rand(1, 20, 20)
    transform = RandBlurd(["image", "label"])
    transform.set_random_state(0)
    for _ in range(10):
        blurred = transform({"image": image, "label": image})
        assert torch.equal(blurred["image"], blurred["label"])
        assert not torch.equal(blurred["image"], image)


def test_a_seed_repeats_the_draws_also_after_pickling():
    image = {"image": torch.rand(1, 16, 16, 16)}
    transform = RandBlurd("image")
    copy = pickle.loads(pickle.dumps(transform))
    first = [transform.set_random_state(seed)(image)["image"] for seed in range(5)]
    again = [copy.set_random_state(seed)(image)["image"] for seed in range(5)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])


def test_probability_zero_leaves_the_image():
    image = torch.rand(1, 8, 8)
    assert RandBlurd("image", prob=0.0)({"image": image})["image"] is image
