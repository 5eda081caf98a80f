from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from rockmonai.errors import DataError
from rockmonai.volumes import open_volume

ARRAY = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)  # z, y, x


def save(path: Path, array: np.ndarray, unit: str | None = None, **how: Any) -> Path:
    image = nibabel.Nifti1Image(array, np.diag([-0.001, -0.002, 0.003, 1]))  # flipped, as from a scanner
    if unit:
        image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_axes_become_z_y_x_and_spacing_has_no_sign(tmp_path: Path, suffix: str) -> None:
    volume = open_volume(save(tmp_path / f"scan{suffix}", ARRAY.T, "mm"))
    assert (volume.shape, volume.dtype, volume.spacing) == ((1, 4, 5, 6), np.int16, pytest.approx((3, 2, 1)))
    assert np.array_equal(volume[0, 1:3, 2, ::2], ARRAY[1:3, 2, ::2])


def test_no_unit_no_spacing(tmp_path: Path) -> None:
    assert open_volume(save(tmp_path / "scan.nii", ARRAY.T)).spacing is None


def test_a_fourth_axis_is_channels(tmp_path: Path) -> None:
    channels = np.stack([ARRAY, ARRAY + 1])
    assert np.array_equal(open_volume(save(tmp_path / "scan.nii", channels.T)).read(), channels)


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.nii", ARRAY.T)
    header = bytearray(path.read_bytes())
    header[112:120] = np.array([0.5, 10], "<f4").tobytes()  # scl_slope, scl_inter
    path.write_bytes(header)
    volume = open_volume(path)
    assert volume.dtype == np.float64
    assert np.array_equal(volume.read()[0], ARRAY * 0.5 + 10)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.nii", ARRAY.T)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="truncated: it has 552 of 592 bytes"):
        open_volume(path)
