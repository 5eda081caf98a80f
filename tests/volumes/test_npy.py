import json

import numpy as np
import pytest

from rockmonai.errors import DataError
from rockmonai.volumes import open_volume

ARRAY = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)


def test_an_array_without_a_sidecar_has_no_spacing(tmp_path):
    np.save(tmp_path / "scan.npy", ARRAY)
    volume = open_volume(tmp_path / "scan.npy")
    assert (volume.shape, volume.spacing) == ((1, 2, 3, 4), None)
    np.testing.assert_array_equal(volume[0, 1:, 1:, ::2], ARRAY[1:, 1:, ::2])


def test_the_sidecar_says_what_the_axes_are_and_how_long_a_voxel_is(tmp_path):
    np.save(tmp_path / "scan.npy", ARRAY)
    (tmp_path / "scan.npy.json").write_text(json.dumps({"axes": "CYX", "spacing": 0.5}))
    volume = open_volume(tmp_path / "scan.npy")
    assert (volume.shape, volume.spacing) == ((2, 3, 4), (0.5, 0.5))


def test_other_numbers_of_axes_are_refused(tmp_path):
    np.save(tmp_path / "scan.npy", np.zeros(5))
    with pytest.raises(DataError, match=r"shape \(5,\)"):
        open_volume(tmp_path / "scan.npy")
