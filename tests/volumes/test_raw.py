import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rockmonai.errors import DataError
from rockmonai.volumes import open_volume

ARRAY = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)


def save(folder: Path, data: bytes, **facts: Any) -> Path:
    (folder / "scan.raw").write_bytes(data)
    (folder / "scan.json").write_text(json.dumps(facts))
    return folder / "scan.raw"


def test_reads_bytes_as_the_sidecar_says(tmp_path: Path) -> None:
    data = b"header" + ARRAY.astype(">u2").tobytes()
    facts = {"shape": [4, 5, 6], "dtype": "uint16", "spacing": [3, 2, 1.5], "byte_order": "big", "offset": 6}
    volume = open_volume(save(tmp_path, data, **facts))
    assert (volume.shape, volume.dtype, volume.spacing) == ((1, 4, 5, 6), np.dtype("uint16"), (3, 2, 1.5))
    assert np.array_equal(volume.read()[0], ARRAY)


def test_a_missing_sidecar_is_shown_by_example(tmp_path: Path) -> None:
    (tmp_path / "scan.raw").write_bytes(ARRAY.tobytes())
    with pytest.raises(DataError, match=r'write scan.json beside it, such as \{"shape"'):
        open_volume(tmp_path / "scan.raw")


@pytest.mark.parametrize("length", [239, 241])
def test_a_length_unlike_the_sidecar_is_refused(tmp_path: Path, length: int) -> None:
    path = save(tmp_path, bytes(length), shape=[4, 5, 6], dtype="uint16")
    with pytest.raises(DataError, match=f"has {length} bytes but scan.json asks for 240"):
        open_volume(path)


@pytest.mark.parametrize(
    "facts",
    [
        {"dtype": "uint16"},
        {"shape": [4, 5, 6], "dtype": "voxels"},
        {"shape": 4, "dtype": "uint8"},
        {"shape": [4], "dtype": "uint8", "byte_order": "middle"},
    ],
    ids=str,
)
def test_an_incomplete_sidecar_is_refused(tmp_path: Path, facts: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="does not describe a RAW file"):
        open_volume(save(tmp_path, ARRAY.tobytes(), **facts))


def test_one_spacing_holds_for_all_axes(tmp_path: Path) -> None:
    volume = open_volume(save(tmp_path, ARRAY.tobytes(), shape=[4, 5, 6], dtype="uint16", spacing=2.5))
    assert volume.spacing == (2.5, 2.5, 2.5)
