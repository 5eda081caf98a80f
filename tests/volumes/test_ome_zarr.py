from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from rockmonai.errors import DataError
from rockmonai.volumes import create_volume, open_volume

ARRAY: Any = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)


def save_ome(path: Path, version: int, axes: list[dict[str, str]], scale: list[float], array: np.ndarray) -> None:
    group = zarr.create_group(str(path), zarr_format=version)  # type: ignore[arg-type]
    for level in ("full", "half"):
        group.create_array(level, data=array if level == "full" else np.ascontiguousarray(array[..., ::2]))
    steps = [{"path": p, "coordinateTransformations": [{"type": "scale", "scale": scale}]} for p in ("full", "half")]
    multiscales: list[Any] = [{"axes": axes, "datasets": steps, "version": "0.4"}]
    group.attrs.update(
        {"ome": {"version": "0.5", "multiscales": multiscales}} if version == 3 else {"multiscales": multiscales}
    )


@pytest.mark.parametrize("version", [2, 3])
def test_opens_the_full_resolution_with_its_spacing(tmp_path: Path, version: int) -> None:
    axes = [
        {"name": n, "type": "space", "unit": u}
        for n, u in zip("zyx", ("nanometer", "micrometer", "millimeter"), strict=True)
    ]
    save_ome(tmp_path / "scan.ome.zarr", version, axes, [3000, 2, 0.001], ARRAY)
    volume = open_volume(tmp_path / "scan.ome.zarr")
    assert (volume.shape, volume.spacing) == ((1, 4, 5, 6), pytest.approx((3, 2, 1)))
    assert np.array_equal(volume[0, 1:3, ::2], ARRAY[1:3, ::2])


def test_single_time_points_are_dropped_and_channels_kept(tmp_path: Path) -> None:
    axes = [{"name": n} for n in "tczyx"]
    save_ome(tmp_path / "scan.zarr", 2, axes, [1] * 5, np.stack([ARRAY, ARRAY + 1])[None])
    volume = open_volume(tmp_path / "scan.zarr")
    assert (volume.shape, volume.spacing) == ((2, 4, 5, 6), None)
    assert np.array_equal(volume[1:, :2], ARRAY[None, :2] + 1)


def test_a_plain_array_and_a_member_of_a_group_are_opened(tmp_path: Path) -> None:
    zarr.save_array(str(tmp_path / "one.zarr"), ARRAY)
    assert np.array_equal(open_volume(tmp_path / "one.zarr").read()[0], ARRAY)
    zarr.save_group(str(tmp_path / "two.zarr"), low=ARRAY, high=ARRAY + 1)
    assert np.array_equal(open_volume(f"{tmp_path}/two.zarr::high").read()[0], ARRAY + 1)
    with pytest.raises(DataError, match=r"holds 2 arrays .*name one as two.zarr::"):
        open_volume(tmp_path / "two.zarr")


def test_reads_only_the_chunks_that_are_asked(tmp_path: Path) -> None:
    path = tmp_path / "scan.ome.zarr"
    with create_volume(path, (1, 4, 5, 6), np.uint16, chunks=(2, 5, 6)) as volume:
        volume[...] = ARRAY[None] + 1
    chunks = sorted(file for file in path.rglob("c/*/*/*/*") if file.is_file())
    assert len(chunks) == 2
    chunks[1].write_bytes(b"damaged")
    assert np.array_equal(open_volume(path)[0, :2], ARRAY[:2] + 1)
    with pytest.raises(DataError, match="is damaged"):
        open_volume(path)[0, 2:]


def test_written_metadata_are_ome_zarr_0_5(tmp_path: Path) -> None:
    with create_volume(tmp_path / "scan.ome.zarr", (1, 70, 5, 6), np.uint16, (3, 2, 1)):
        pass
    group = zarr.open_group(str(tmp_path / "scan.ome.zarr"), mode="r")
    ome: Any = group.attrs["ome"]
    (multiscale,) = ome["multiscales"]
    assert ome["version"] == "0.5"
    assert [axis["name"] for axis in multiscale["axes"]] == ["c", "z", "y", "x"]
    assert [axis.get("unit") for axis in multiscale["axes"]] == [None, "micrometer", "micrometer", "micrometer"]
    (level,) = multiscale["datasets"]
    assert level["coordinateTransformations"] == [{"type": "scale", "scale": [1, 3, 2, 1]}]
    array = group[level["path"]]
    assert isinstance(array, zarr.Array)
    assert (array.shape, array.chunks, array.metadata.zarr_format) == ((1, 70, 5, 6), (1, 64, 5, 6), 3)


def test_an_empty_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.zarr").mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        open_volume(tmp_path / "scan.zarr")
