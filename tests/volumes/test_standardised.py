"""Volumes whose greys are standardised as a whole."""

import h5py
import numpy as np
import pytest
import tifffile

from rockmonai.errors import DataError
from rockmonai.transforms import OpenVolumed
from rockmonai.volumes import Standardised, finite, grey_range, moments, open_volume


@pytest.fixture
def greys():
    return np.random.default_rng(0).normal(3000, 250, (21, 9, 10)).astype(np.uint16)


def test_moments_are_those_of_all_voxels_however_many_slabs_there_are(greys, monkeypatch):
    monkeypatch.setattr(finite, "_SLAB_BYTES", 400)
    assert moments(greys[None]) == pytest.approx((greys.mean(), greys.std()), rel=1e-12)


def test_moments_leave_out_what_is_not_finite():
    volume = np.array([[[[1.0, 3.0, np.nan], [np.inf, 5.0, 7.0]]]])
    assert moments(volume) == pytest.approx((4.0, 5**0.5))


@pytest.mark.parametrize(
    ("volume", "said"), [(np.full((1, 2, 3, 4), 7), "single grey"), (np.full((1, 2, 2, 2), np.nan), "no fin")]
)
def test_what_cannot_be_standardised_is_refused(volume, said):
    with pytest.raises(DataError, match=said):
        moments(volume)


def test_a_piece_of_a_standardised_volume_is_that_of_the_standardised_whole(greys, tmp_path):
    tifffile.imwrite(tmp_path / "scan.tif", greys, photometric="minisblack")
    opened = OpenVolumed("image", standardise=True)({"image": tmp_path / "scan.tif"})["image"]
    wanted = (greys - greys.mean()) / greys.std()
    piece = opened[:, 3:7, 2:, :5]
    assert isinstance(opened, Standardised) and opened.shape == (1, 21, 9, 10) and piece.dtype == opened.dtype
    np.testing.assert_allclose(piece[0], wanted[3:7, 2:, :5], atol=1e-5)


def test_the_grey_range_of_a_volume_reaches_three_deviations_either_way(greys, tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["data"] = greys.astype(np.float32)
    path = tmp_path / "scan.h5"
    mean, std = greys.mean(), greys.std()
    assert grey_range(True, path) == pytest.approx([mean - 3 * std, mean + 3 * std], rel=1e-5)
    assert grey_range(False, path) == "dtype" and grey_range(True) == [-3, 3]
    assert open_volume(path).dtype == np.float32
