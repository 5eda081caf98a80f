import numpy as np
import pytest
from PIL import Image

from rockmonai.errors import DataError
from rockmonai.transforms import OpenVolumed


def test_a_path_becomes_a_lazy_volume_that_is_opened_once(tmp_path):
    np.save(tmp_path / "rock.npy", np.arange(24, dtype="u1").reshape(2, 3, 4))
    record = {"image": str(tmp_path / "rock.npy"), "label": tmp_path / "rock.npy", "name": "rock"}
    opened = OpenVolumed(["image", "label"])(record)
    assert opened["image"] is opened["label"]
    assert opened["image"].shape == (1, 2, 3, 4)
    assert opened["name"] == "rock"
    np.testing.assert_array_equal(opened["image"][0, 1, 2], [20, 21, 22, 23])


def test_each_key_has_its_own_way_with_colours(tmp_path):
    rgb = np.array([[[255, 0, 0], [9, 9, 9]]], np.uint8)
    Image.fromarray(rgb).save(tmp_path / "rock.png")
    record = dict.fromkeys(("image", "label", "other"), str(tmp_path / "rock.png"))
    opened = OpenVolumed(["image", "label"], grey={"image": "luma", "label": "keep"})(record)
    assert opened["image"][...].tolist() == [[[76, 9]]]
    assert np.array_equal(opened["label"], rgb.transpose(2, 0, 1))
    with pytest.raises(DataError, match="colour image"):
        OpenVolumed(["image", "other"], grey={"image": "luma"})(record)
    assert OpenVolumed("image", grey="keep")(record)["image"].shape == (3, 1, 2)


def test_what_is_no_path_stays_as_it_is():
    array = np.zeros((1, 4, 4))
    assert OpenVolumed("image")({"image": array})["image"] is array


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(DataError, match=r"gone\.tif"):
        OpenVolumed("image")({"image": str(tmp_path / "gone.tif")})
