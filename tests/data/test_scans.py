from __future__ import annotations

import h5py
import numpy as np
import pytest

from rockmonai.data import scans
from rockmonai.errors import DataError
from tests.data.images import write


def test_folder_of_slices_is_a_volume(tmp_path):
    for z in range(3):
        write(tmp_path / "rock" / f"{z}.tif")
    path = str(tmp_path / "rock")
    assert scans(path, 3) == [{"image": path, "name": "rock"}]
    with pytest.raises(DataError, match="a volume of 3x4x4 voxels, but the model is 2D"):
        scans(path, 2)


def test_dataset_within_a_file_has_the_name_of_the_file(tmp_path):
    with h5py.File(tmp_path / "rock.h5", "w") as file:
        file["tomo/data"] = np.ones((4, 4, 4), np.uint8)
    assert scans(f"{tmp_path}/rock.h5::tomo/data", 3)[0]["name"] == "rock"


def test_several_channels(tmp_path):
    np.save(tmp_path / "rock.npy", np.ones((2, 4, 4, 4), np.uint8))
    with pytest.raises(DataError, match="has 2 channels, the model expects 1"):
        scans(str(tmp_path / "rock.npy"), 3)


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match="found nothing"):
        scans(str(tmp_path), 3)
