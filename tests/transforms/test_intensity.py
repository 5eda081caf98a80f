import numpy as np
import pytest
import torch

from rockmonai.errors import DataError
from rockmonai.transforms import Finited, ScaleGreyd, UnscaleGreyd, scale_grey, unscale_grey


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_every_grey_survives_the_way_to_the_network_and_back(dtype):
    limits = np.iinfo(dtype)
    greys = torch.from_numpy(np.arange(limits.min, limits.max + 1).astype(dtype))[None]
    unit = ScaleGreyd("x")({"x": greys})["x"]
    assert unit.dtype == torch.float32
    assert (unit.min(), unit.max()) == (-1, 1)
    back = UnscaleGreyd("x", dtype)({"x": unit})["x"]
    assert back.dtype == greys.dtype
    np.testing.assert_array_equal(back.numpy(), greys.numpy())


def test_a_given_range_is_linear():
    assert scale_grey(torch.tensor([10.0, 15.0, 20.0, 25.0]), 10, 20).tolist() == [-1, 0, 1, 2]
    assert unscale_grey(torch.tensor([-1.0, 0.0, 1.0]), 10, 20, "float32").tolist() == [10, 15, 20]


def test_greys_are_rounded_and_clipped_and_never_wrapped():
    unit = torch.tensor([-1.5, -1 + 2 * 0.6 / 255, 0.0, 1.5])
    assert unscale_grey(unit, 0, 255, torch.uint8).tolist() == [0, 1, 128, 255]
    assert unscale_grey(torch.tensor([2.0]), -(2**31), 2**31 - 1, "int32").item() == 2**31 - 1


def test_floats_want_a_range():
    with pytest.raises(DataError, match="grey_range"):
        ScaleGreyd("x")({"x": torch.rand(1, 4, 4)})
    with pytest.raises(DataError, match="grey_range"):
        UnscaleGreyd("x", "float32")
    with pytest.raises(DataError, match="empty"):
        ScaleGreyd("x", [3, 3])({"x": torch.rand(1, 4, 4)})
    assert ScaleGreyd("x", [0, 2])({"x": torch.ones(1, 1)})["x"].item() == 0


def test_what_is_no_number_becomes_zero():
    x = torch.tensor([np.nan, np.inf, -np.inf, 1.5])
    assert Finited("x")({"x": x})["x"].tolist() == [0, 0, 0, 1.5]
