from pathlib import Path

import h5py
import numpy as np
import pytest

from rockmonai.errors import DataError
from rockmonai.volumes import open_volume

ARRAY = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)


def test_opens_the_only_image_and_its_spacing(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["entry/data"] = ARRAY
        file["entry/data"].attrs["element_size_um"] = (3.0, 2.0, 1.0)
        file["angles"] = np.arange(180)
    volume = open_volume(tmp_path / "scan.h5")
    assert (volume.shape, volume.spacing) == ((1, 4, 5, 6), (3, 2, 1))
    assert np.array_equal(volume[:, 2:, 1:4:2, 3], ARRAY[None, 2:, 1:4:2, 3])


def test_names_the_choice_among_several(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["low"], file["high"] = ARRAY, ARRAY + 1
    with pytest.raises(DataError, match=r"holds 2 images \(high \(4, 5, 6\), low .*name one as scan.h5::high"):
        open_volume(tmp_path / "scan.h5")
    with pytest.raises(DataError, match=r"no image 'hgh' \(did you mean 'high'\?\)"):
        open_volume(f"{tmp_path}/scan.h5::hgh")
    assert np.array_equal(open_volume(f"{tmp_path}/scan.h5::high").read()[0], ARRAY + 1)


def test_matlab_axes_become_ours(tmp_path: Path) -> None:
    # A(y, x, z) in MATLAB is stored column-major, which HDF5 sees as (z, x, y).
    with h5py.File(tmp_path / "scan.mat", "w", userblock_size=512) as file:
        file["A"] = ARRAY.transpose(0, 2, 1)
        file["A"].attrs["MATLAB_class"] = np.bytes_("single")
    with open(tmp_path / "scan.mat", "r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file")
    volume = open_volume(tmp_path / "scan.mat")
    assert volume.shape == (1, 4, 5, 6)
    assert np.array_equal(volume[0, 1:3, 2:, :4], ARRAY[1:3, 2:, :4])


def test_older_matlab_files_are_told_how_to_be_saved(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(tmp_path / "scan.mat", {"A": ARRAY})
    with pytest.raises(DataError, match=r"save it in MATLAB with -v7.3"):
        open_volume(tmp_path / "scan.mat")


def test_spacing_follows_from_netcdf_coordinates(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "scan.nc", "w") as file:
        file["tomo"] = ARRAY
        for axis, (name, step) in enumerate({"z": 0.003, "y": 0.002, "x": 0.001}.items()):
            file[name] = np.arange(ARRAY.shape[axis]) * step
            file[name].attrs["units"] = "mm"
            file[name].make_scale(name)
            file["tomo"].dims[axis].attach_scale(file[name])
    assert open_volume(tmp_path / "scan.nc").spacing == pytest.approx((3, 2, 1))


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["volume"] = ARRAY
    whole = (tmp_path / "scan.h5").read_bytes()
    (tmp_path / "scan.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"scan.h5 cannot be read \(.*truncated"):
        open_volume(tmp_path / "scan.h5")
