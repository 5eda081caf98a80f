from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch

from rockmonai.errors import DataError
from rockmonai.metrics import slice_difference
from rockmonai.volumes import open_volume


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_is_the_mean_step_of_numpy(dtype):
    scan = np.random.default_rng(0).uniform(0, 255, (2, 7, 5, 6)).astype(dtype)
    expected = np.abs(np.diff(scan.astype(np.float64), axis=1)).mean()
    assert slice_difference(scan) == pytest.approx(expected, rel=1e-12)
    assert slice_difference(torch.from_numpy(scan)) == pytest.approx(expected, rel=1e-12)


def test_an_open_volume_is_read_slice_by_slice(tmp_path, monkeypatch):
    scan = np.random.default_rng(0).integers(0, 255, (9, 5, 6), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "scan.tif", scan, photometric="minisblack")
    volume, read = open_volume(tmp_path / "scan.tif"), []
    get = type(volume).__getitem__
    monkeypatch.setattr(type(volume), "__getitem__", lambda self, index: read.append(get(self, index)) or read[-1])
    assert slice_difference(volume) == pytest.approx(np.abs(np.diff(scan.astype(float), axis=0)).mean(), rel=1e-12)
    assert [part.shape for part in read] == [(1, 5, 6)] * 9


def test_a_ramp_steps_by_its_slope():
    assert slice_difference(torch.arange(5.0).reshape(1, 5, 1, 1).expand(1, 5, 3, 3) * 0.25) == 0.25


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 1, 8, 8)])
def test_an_image_has_no_neighbours(shape):
    with pytest.raises(DataError, match="of two slices or more"):
        slice_difference(torch.zeros(shape))
