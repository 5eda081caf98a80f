import numpy as np
import pytest

from rockmonai.volumes.indexing import lengths, resolve

ARRAY = np.arange(2 * 5 * 6 * 7).reshape(2, 5, 6, 7)


@pytest.mark.parametrize(
    "index",
    [np.s_[...], np.s_[0], np.s_[:, -1], np.s_[..., 2:50:3], np.s_[1, ..., -3:], np.s_[:, 4:2], np.s_[0, 1, 2, 3]],
    ids=str,
)
def test_explicit_slices_give_what_numpy_gives(index):
    slices, squeeze = resolve(index, ARRAY.shape)
    assert ARRAY[slices].shape == lengths(slices)
    np.testing.assert_array_equal(ARRAY[slices][squeeze], ARRAY[index])


@pytest.mark.parametrize("index", [np.s_[0, 0, 0, 0, 0], np.s_[2], np.s_[:, ::-1]], ids=str)
def test_what_a_file_cannot_be_asked_is_an_index_error(index):
    with pytest.raises(IndexError):
        resolve(index, ARRAY.shape)
