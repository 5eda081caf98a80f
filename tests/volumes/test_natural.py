from pathlib import Path

import pytest

from rockmonai.volumes.natural import natural_sorted


@pytest.mark.parametrize(
    "names",
    [
        ["slice2", "slice10", "slice100"],
        ["a1_z9.tif", "a1_z10.tif", "a2_z1.tif"],
        ["1.tif", "2.tif", "10.tif", "rock.tif"],
        ["Scan_0009", "scan_0010", "Scan_0011"],
    ],
)
def test_numbers_are_compared_as_numbers(names: list[str]) -> None:
    assert [path.name for path in natural_sorted(map(Path, sorted(names, reverse=True)))] == names
