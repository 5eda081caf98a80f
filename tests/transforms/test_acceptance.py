import numpy as np
import pytest
import torch

from rockmonai.transforms import MinFraction, NotBlank


def test_greys_whose_product_wraps_are_still_positive():
    # 16 * 16 is 0 in eight bits; all pairs of positive greys are such a multiplication table.
    a, b = torch.meshgrid(torch.arange(1, 256), torch.arange(1, 256), indexing="ij")
    window = {"image": a[None].to(torch.uint8), "label": b[None].to(torch.uint8)}
    assert (window["image"] * window["label"] == 0).float().mean() > 0.01
    assert MinFraction(1.0, positive=["image", "label"]).measure(window) == 1.0


def test_conditions_are_met_by_the_same_voxels():
    window = {
        "image": torch.tensor([[[0, 9, 9, 9]]]),
        "label": torch.tensor([[[9, 0, 9, 9]]]),
        "charge": torch.tensor([[[0, 0, 1, 0]]]),
    }
    assert MinFraction(0.5, positive=["image", "label"]).measure(window) == 0.5
    assert MinFraction(0.5, zero="charge").measure(window) == 0.75
    assert MinFraction(0.5, positive=["image", "label"], zero="charge").measure(window) == 0.25


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_a_coarse_key_counts_with_its_whole_footprint(dtype):
    coarse = torch.from_numpy(np.array([[[1, 0]]], dtype))
    window = {"image": coarse, "label": torch.ones(1, 2, 4)}
    assert MinFraction(0.5, positive=["image", "label"]).measure(window) == 0.5


def test_negative_greys_are_not_positive():
    window = {"image": torch.tensor([[[-1.0, 1.0]]])}
    assert MinFraction(0.5, positive="image").measure(window) == 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("background", [0, 255, -100])
def test_a_window_is_blank_whatever_the_grey_and_the_dtype(dtype, background):
    if background < 0 and np.issubdtype(dtype, np.unsignedinteger):
        background = np.iinfo(dtype).max
    if dtype == np.uint8:
        background = min(background, 255)
    greys = np.full(1000, background, dtype)
    assert NotBlank().measure({"label": torch.from_numpy(greys.reshape(1, 10, 10, 10))}) == 0
    greys[:90] = np.arange(1, 91)
    assert NotBlank().measure({"label": torch.from_numpy(greys.reshape(1, 10, 10, 10))}) == pytest.approx(0.09)


def test_a_binary_rock_is_not_blank():
    pores = torch.from_numpy((np.arange(400) % 2).astype(np.uint8).reshape(1, 20, 20))
    assert NotBlank().measure({"label": pores}) == 0.5


def test_noise_is_not_blank_and_lost_voxels_are():
    noise = np.random.default_rng(0).normal(0, 1, (1, 32, 32)).astype(np.float32)
    assert NotBlank(key="image").measure({"image": torch.from_numpy(noise)}) > 0.99
    noise[:, :24] = np.nan
    assert NotBlank(key="image").measure({"image": torch.from_numpy(noise)}) == pytest.approx(0.25)
