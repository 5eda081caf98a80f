import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from skimage.exposure import adjust_gamma, equalize_adapthist

from rockmonai.errors import DataError
from rockmonai.transforms import CLAHEd, Contrastd, Gammad, QuantileStretchd, Standardised

RNG = np.random.default_rng(0)


def unit(brightness):
    return torch.from_numpy(brightness.astype("f4"))[None] * 2 - 1


def brightness(x):
    return (x[0].numpy() + 1) / 2


def test_gamma_is_a_power_of_the_brightness():
    image = RNG.random((20, 30))
    ours = brightness(Gammad("x", 2.2)({"x": unit(image)})["x"])
    np.testing.assert_allclose(ours, adjust_gamma(image, 2.2), atol=1e-6)


@pytest.mark.parametrize("factor", [0.5, 1.8])
def test_contrast_is_pillows(factor):
    image = RNG.integers(0, 256, (20, 30)).astype("u1")
    ours = brightness(Contrastd("x", factor)({"x": unit(image / 255)})["x"])
    theirs = np.asarray(ImageEnhance.Contrast(Image.fromarray(image)).enhance(factor)) / 255
    assert np.abs(ours - theirs).max() < 2 / 255  # Pillow rounds the mean and the result


@pytest.mark.parametrize("shape", [(48, 64), (24, 24, 24)])
def test_clahe_is_scikit_images_channel_by_channel(shape):
    image = RNG.random((2, *shape)) ** 3
    ours = CLAHEd("x", clip_limit=0.03)({"x": torch.from_numpy(image.astype("f4")) * 2 - 1})["x"]
    assert ours.dtype == torch.float32
    for channel, values in zip(ours.numpy(), image, strict=True):
        # The histogram bin of a grey may change with the rounding of float32.
        assert np.abs((channel + 1) / 2 - equalize_adapthist(values, clip_limit=0.03)).mean() < 1e-3


def test_quantiles_come_from_the_middle_of_the_field():
    image = np.full((1, 100, 100), 5000, "u2")
    image[:, :20] = 60000  # the air around the sample
    image[:, 20:80, 20:80] = np.linspace(1000, 2000, 3600).reshape(60, 60)
    stretched = QuantileStretchd("x")({"x": torch.from_numpy(image)})["x"]
    lo, hi = np.quantile(image[:, 20:80, 20:80], (0.01, 0.99))
    expected = np.clip((image.astype("f4") - lo) / (hi - lo), 0, 1) * 2 - 1
    np.testing.assert_allclose(stretched.numpy(), expected, atol=1e-5)
    with pytest.raises(DataError, match="nothing but the grey 7"):
        QuantileStretchd("x")({"x": torch.full((1, 10, 10), 7.0)})


def test_standardising_gives_mean_0_and_deviation_1_or_what_was_asked():
    x = torch.from_numpy(RNG.integers(0, 65536, (1, 8, 8, 8)).astype("u2"))
    z = Standardised("x")({"x": x})["x"].numpy()
    assert z.mean() == pytest.approx(0, abs=1e-6) and z.std() == pytest.approx(1, abs=1e-6)
    assert Standardised("x", mean=10, std=4)({"x": torch.tensor([[18.0]])})["x"].item() == 2
    with pytest.raises(DataError, match="standardised"):
        Standardised("x")({"x": torch.ones(1, 4, 4)})
