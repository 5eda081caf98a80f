from pathlib import Path

import pytest

from rockmonai.errors import DataError
from rockmonai.volumes.sidecar import stated_spacing

SIDECAR = Path("scan.json")


@pytest.mark.parametrize(
    ("stated", "axes", "expected"),
    [
        (2.5, "ZYX", (2.5, 2.5, 2.5)),
        (2, "CYX", (2.0, 2.0)),
        ([3, 2, 1], "CZYX", (3.0, 2.0, 1.0)),
        (None, "ZYX", None),
        ([], "ZYX", None),
    ],
)
def test_one_number_holds_for_all_axes(stated, axes, expected):
    assert stated_spacing(SIDECAR, {"spacing": stated}, axes) == expected
    assert stated_spacing(SIDECAR, {}, axes) is None


@pytest.mark.parametrize("stated", [[2.5, 2.5], "fine", {"z": 1}])
def test_what_fits_no_axes_is_refused(stated):
    with pytest.raises(DataError, match=r"scan\.json states .* axes z, y, x: give micrometres"):
        stated_spacing(SIDECAR, {"spacing": stated}, "ZYX")
