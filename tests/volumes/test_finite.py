from pathlib import Path

import numpy as np
import pytest

import rockmonai.volumes.finite as finite
from rockmonai.errors import DataError
from rockmonai.volumes import check_finite, open_volume
from rockmonai.volumes.finite import finite_median


def test_counts_and_locates_voxels_that_are_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finite, "_SLAB_BYTES", 2 * 5 * 20 * 4)  # two slices a slab
    array = np.zeros((9, 5, 20), np.float32)
    check_finite(array[None])
    array[3, 2, 17], array[3, 4, 1], array[8, 0, 0] = np.nan, np.inf, -np.inf
    np.save(tmp_path / "rock.npy", array)
    with pytest.raises(DataError, match=r"rock.npy has 3 NaN/Inf voxels, first at \(z, y, x\) = \(3, 2, 17\)"):
        check_finite(open_volume(tmp_path / "rock.npy"))


def test_images_are_located_in_two_axes() -> None:
    image = np.zeros((2, 5, 6), np.float16)
    image[1, 4, 3] = np.nan
    with pytest.raises(DataError, match=r"1 NaN/Inf voxels, first at \(y, x\) = \(4, 3\)"):
        check_finite(image)


def test_integers_are_not_even_read() -> None:
    class Unreadable:
        shape, dtype = (1, 5, 6), np.dtype(np.uint8)

        def __getitem__(self, index: object) -> np.ndarray:
            raise AssertionError("read")

    check_finite(Unreadable())


def test_median_of_the_finite_of_a_large_volume_comes_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(0).normal(size=(1, 40, 50, 60))
    array[0, :, ::7] = np.nan
    exact = np.nanmedian(array)
    assert finite_median(array) == exact
    monkeypatch.setattr(finite, "_SAMPLE", array.size // 8)
    monkeypatch.setattr(finite, "_SLAB_BYTES", array[:, :3].nbytes)  # thinned across slabs as within them
    sampled = finite_median(array)
    assert sampled != exact and abs(sampled - exact) < 0.03
    with pytest.raises(DataError, match="no finite voxels"):
        finite_median(np.full((1, 3, 3), np.inf))
