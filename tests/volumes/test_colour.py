import numpy as np
import pytest

from rockmonai.errors import DataError
from rockmonai.volumes.colour import paint, to_channels

RGB = np.array([[[255, 10]], [[0, 10]], [[0, 10]]], np.uint8)


@pytest.mark.parametrize(("dtype", "red"), [("u1", 76), ("u2", 76), ("f8", 76.245)])
def test_luma_is_rec_601_in_the_same_dtype(dtype: str, red: float) -> None:
    grey = to_channels(RGB.astype(dtype), "luma", "rock.png")
    assert grey.dtype == np.dtype(dtype)
    assert grey[0, 0].tolist() == pytest.approx([red, 10])


def test_only_what_is_read_must_be_grey() -> None:
    assert to_channels(RGB[..., 1:], "strict", "rock.png").tolist() == [[[10]]]
    with pytest.raises(DataError, match=r"rock.png is a colour image"):
        to_channels(RGB, "strict", "rock.png")


def test_indices_need_a_palette() -> None:
    with pytest.raises(DataError, match="no palette"):
        to_channels(RGB, "index", "rock.png")
    with pytest.raises(DataError, match="2 colours has none for the index 2"):
        paint(np.array([[[0, 2]]]), np.zeros((3, 2), np.uint8))
