from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import signal

from rockmonai.errors import DataError
from rockmonai.petrophysics import power_spectrum


def modes_of(shape):
    """How many modes each ring has, counted one by one."""
    ranges = [range(-(side // 2), -(side // 2) + side) for side in shape]
    counts: dict[int, int] = {}
    for mode in itertools.product(*ranges):
        ring = round(min(shape) * sum((k / side) ** 2 for k, side in zip(mode, shape, strict=True)) ** 0.5)
        counts[ring] = counts.get(ring, 0) + 1
    return np.array([counts[ring] for ring in sorted(counts)])


@pytest.mark.parametrize("shape", [(32, 32), (31, 46), (12, 16, 17)])
def test_the_power_of_all_modes_is_the_mean_square_of_what_was_transformed(shape):
    image = np.random.default_rng(0).normal(3, 2, shape)
    window = np.ones(())
    for side in shape:
        window = np.multiply.outer(window, signal.get_window("hann", side))
    seen = window * (image - (window * image).sum() / window.sum())
    frequency, power = power_spectrum(image)
    modes = modes_of(shape)
    assert len(frequency) == len(power) == len(modes)
    assert (modes * power).sum() / image.size == pytest.approx((seen**2).sum() / (window**2).sum())


@pytest.mark.parametrize("shape", [(256, 256), (48, 48, 48)])
def test_white_noise_has_its_variance_at_all_frequencies(shape):
    frequency, power = power_spectrum(np.random.default_rng(1).normal(0, 3, shape))
    for low, high in ((0.2, 0.35), (0.35, 0.5)):
        assert power[(frequency > low) & (frequency < high)].mean() == pytest.approx(9, rel=0.05)


@pytest.mark.parametrize(("cycles", "axis"), [(5, 0), (20, 1)])
def test_a_wave_has_its_power_at_its_frequency(cycles, axis):
    wave = np.cos(2 * np.pi * cycles * np.arange(64) / 64 + 0.3)
    frequency, power = power_spectrum(np.broadcast_to(wave if axis else wave[:, None], (64, 64)))
    assert frequency[power.argmax()] == pytest.approx(cycles / 64, abs=0.5 / 64)
    assert power[np.abs(frequency - cycles / 64) > 3 / 64].max() < 1e-6 * power.max()


def test_smoothing_takes_the_power_that_its_transfer_function_says():
    noise = np.random.default_rng(2).normal(size=(512, 512))
    smooth = signal.convolve(noise, np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25]), mode="same")
    frequency, power = power_spectrum(smooth)
    low = (frequency > 0.1) & (frequency < 0.25)
    # The squared response is cos(pi u)^4 cos(pi v)^4, to be averaged over the directions.
    angles = np.linspace(0, 2 * np.pi, 361)[:-1]
    waves = np.pi * frequency[low, None] * np.stack([np.cos(angles), np.sin(angles)])[:, None]
    expected = (np.cos(waves) ** 4).prod(0).mean(1)
    assert expected.max() > 2 * expected.min()
    for third in np.array_split(power[low] / expected, 3):
        assert third.mean() == pytest.approx(1, rel=0.05)


def test_an_even_image_has_no_power():
    assert power_spectrum(np.full((16, 16), 7))[1] == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [(np.zeros(64), "not of"), (np.zeros((64, 7)), "8 voxels or more"), (np.full((9, 9), np.nan), "NaN or infinite")],
)
def test_what_has_no_spectrum_is_told(image, sentence):
    with pytest.raises(DataError, match=sentence):
        power_spectrum(image)
