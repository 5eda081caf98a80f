import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from rockmonai.transforms import RandMultiSampled, Round, multi_sample


def test_two_rounds_are_pillows_four_resizes():
    image = np.random.default_rng(0).random((40, 60), dtype=np.float32)
    rounds = [Round(4, "bicubic", "bilinear"), Round(2.5, "lanczos", "bicubic")]
    expected = Image.fromarray(image)
    for size, kernel in [((15, 10), "BICUBIC"), ((60, 40), "BILINEAR"), ((24, 16), "LANCZOS"), ((60, 40), "BICUBIC")]:
        expected = expected.resize(size, Image.Resampling[kernel])
    ours = multi_sample(torch.from_numpy(image)[None], rounds)[0].numpy()
    np.testing.assert_allclose(ours, np.asarray(expected), atol=2e-6)


def test_a_round_blurs_the_small_image():
    image = torch.rand(1, 32, 32)
    small = image.reshape(1, 8, 4, 8, 4).mean((2, 4))
    smooth = torch.from_numpy(gaussian_filter(small.numpy(), (0, 1.2, 1.2)))
    expected = smooth.repeat_interleave(4, 1).repeat_interleave(4, 2)
    torch.testing.assert_close(multi_sample(image, [Round(4, "area", "nearest", sigma=1.2)]), expected)


def test_a_drawn_round_keeps_to_what_it_may_choose_from():
    transform = RandMultiSampled("image", (1, 1), (2.0, 6.0), ["bicubic"], antialias=[True], sigma=(0.8, 1.6))
    transform.set_random_state(0)
    rounds = []
    for _ in range(300):
        transform.randomize()
        rounds += transform.drawn
    assert len(rounds) == 300
    assert {(drawn.down, drawn.up, drawn.antialias) for drawn in rounds} == {("bicubic", "bicubic", True)}
    for values, low, high in (([r.factor for r in rounds], 2.0, 6.0), ([r.sigma for r in rounds], 0.8, 1.6)):
        assert low <= min(values) < max(values) <= high
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=(high - low) / 20)


@pytest.mark.parametrize("shape", [(1, 30, 41), (1, 13, 16, 18)])
def test_random_rounds_keep_the_size_and_lose_detail(shape):
    image = torch.rand(shape)
    transform = RandMultiSampled(["image", "label"], rounds=(1, 3))
    transform.set_random_state(0)
    for _ in range(10):
        sampled = transform({"image": image, "label": image})
        assert sampled["image"].shape == image.shape
        assert torch.equal(sampled["image"], sampled["label"])
        assert (sampled["image"] - image).abs().mean() > 0.01
