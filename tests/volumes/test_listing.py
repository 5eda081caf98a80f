from pathlib import Path

import numpy as np
import pytest

from rockmonai.volumes import create_volume, list_scans, stem_of


def test_scans_come_in_natural_order_and_nothing_else_does(tmp_path):
    for name in ("rock10.tif", "rock2.tif", "Rock1.PNG", ".rock3.tif", "notes.txt", "rock4.tif.partial", "tif"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in list_scans(tmp_path)] == ["Rock1.PNG", "rock2.tif", "rock10.tif"]


def test_a_zarr_folder_is_a_scan_and_another_folder_is_not(tmp_path):
    with create_volume(tmp_path / "rock.ome.zarr", (1, 2, 3, 4), np.uint8) as volume:
        volume[...] = np.ones((1, 2, 3, 4), np.uint8)
    (tmp_path / "slices").mkdir()
    assert list_scans(tmp_path) == [tmp_path / "rock.ome.zarr"]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("rock.tif", "rock"),
        ("rock.ome.tif", "rock"),
        ("rock.ome.zarr", "rock"),
        ("rock.zarr", "rock"),
        ("rock.nii.gz", "rock"),
        ("Rock.NII.GZ", "Rock"),
        ("rock_0.5um.raw", "rock_0.5um"),
        ("rock.v2", "rock.v2"),
    ],
)
def test_the_stem_has_no_suffix_of_any_length(name, stem):
    assert stem_of(Path("folder") / name) == stem
