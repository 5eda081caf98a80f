import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, uniform_filter1d
from torch.nn.functional import interpolate

from rockmonai.transforms import gaussian_blur, resample
from rockmonai.transforms.resampling import KERNELS, apply_along_axes, box_matrix, resampling_matrix

RNG = np.random.default_rng(0)
PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "area": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@pytest.mark.parametrize("shape", [(33, 40), (17, 24, 20)])
@pytest.mark.parametrize("sigma", [0.4, 1.2, 3.7])
def test_gaussian_blur_is_scipys_up_to_the_border(shape, sigma):
    image = RNG.random(shape, dtype=np.float32)
    blurred = gaussian_blur(torch.from_numpy(image)[None], sigma)[0].numpy()
    assert np.abs(blurred - gaussian_filter(image, sigma, mode="reflect")).max() < 1e-5


def test_gaussian_blur_wider_than_the_image_still_mirrors_like_scipy():
    image = RNG.random((5, 7), dtype=np.float32)
    blurred = gaussian_blur(torch.from_numpy(image)[None], 4.0)[0].numpy()
    assert np.abs(blurred - gaussian_filter(image, 4.0)).max() < 1e-5


def test_gaussian_blur_takes_one_sigma_per_axis():
    image = RNG.random((2, 20, 20, 20), dtype=np.float32)
    blurred = gaussian_blur(torch.from_numpy(image), (2.0, 0.0, 0.7)).numpy()
    assert np.abs(blurred - gaussian_filter(image, (0, 2.0, 0.0, 0.7))).max() < 1e-5


@pytest.mark.parametrize("width", [1, 3, 7])
def test_box_matrix_is_scipys_running_mean(width):
    line = RNG.random(19, dtype=np.float32)
    smooth = box_matrix(19, width).numpy() @ line
    np.testing.assert_allclose(smooth, uniform_filter1d(line, width, mode="reflect"), atol=1e-6)


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(74, 100), (20, 30), (111, 150), (12, 13)])
def test_resampling_is_pillows_up_and_down(kernel, size):
    image = RNG.random((37, 50), dtype=np.float32)
    ours = resample(torch.from_numpy(image)[None], size, kernel)[0].numpy()
    theirs = np.asarray(Image.fromarray(image).resize(size[::-1], PILLOW[kernel]))
    assert np.abs(ours - theirs).max() < 1e-6


@pytest.mark.parametrize("kernel", ["area", "nearest"])
@pytest.mark.parametrize("size", [(24, 36), (8, 12), (4, 6), (48, 72)])
def test_area_and_nearest_are_pillows_at_integer_factors(kernel, size):
    image = RNG.random((24, 36), dtype=np.float32)
    ours = resample(torch.from_numpy(image)[None], size, kernel)[0].numpy()
    theirs = np.asarray(Image.fromarray(image).resize(size[::-1], PILLOW[kernel]))
    assert np.abs(ours - theirs).max() < 1e-6


def test_resampling_of_volumes_agrees_with_torch():
    volume = torch.rand(2, 12, 16, 20)
    small, odd, large = (3, 4, 5), (5, 7, 9), (24, 32, 40)
    area = interpolate(volume[None], small, mode="area")[0]
    linear = interpolate(volume[None], odd, mode="trilinear")[0]
    nearest = interpolate(volume[None], large, mode="nearest-exact")[0]
    torch.testing.assert_close(resample(volume, small, "area"), area)
    torch.testing.assert_close(resample(volume, odd, "bilinear", antialias=False), linear)
    torch.testing.assert_close(resample(volume, large, "nearest"), nearest)


def test_antialiased_bicubic_agrees_with_torch():
    image = torch.rand(3, 40, 31)
    theirs = interpolate(image[None], (11, 9), mode="bicubic", antialias=True, align_corners=False)[0]
    torch.testing.assert_close(resample(image, (11, 9), "bicubic"), theirs, atol=1e-5, rtol=0)


def test_area_keeps_the_mean_for_any_ratio():
    image = torch.rand(1, 30, 42, dtype=torch.float64)
    assert resample(image, (7, 11), "area").mean().item() == pytest.approx(image.mean().item(), abs=1e-7)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("antialias", [True, False])
def test_a_constant_stays_constant(kernel, antialias):
    assert resampling_matrix(23, 9, kernel, antialias).sum(1).numpy() == pytest.approx(1, abs=1e-6)
    assert resampling_matrix(9, 23, kernel, antialias).sum(1).numpy() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int32, torch.bool, torch.float32])
def test_nearest_keeps_every_dtype(dtype):
    classes = torch.arange(16).reshape(1, 4, 4).to(dtype)
    assert torch.equal(resample(classes, (2, 2), "nearest"), classes[:, 1::2, 1::2])


def test_axes_come_back_in_order():
    x = torch.rand(2, 3, 4, 5)
    matrices = [torch.rand(6, 3), torch.rand(7, 4), torch.rand(8, 5)]
    torch.testing.assert_close(apply_along_axes(x, matrices), torch.einsum("czyx,az,by,dx->cabd", x, *matrices))


def test_an_unknown_kernel_is_named():
    with pytest.raises(ValueError, match="bicubik"):
        resample(torch.rand(1, 4, 4), (2, 2), "bicubik")
