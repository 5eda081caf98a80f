from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from skimage.measure import block_reduce

from rockmonai.volumes import create_volume, open_volume
from rockmonai.volumes.create import plan
from rockmonai.volumes.pyramid import add_levels, first, level_shapes, mean


def pyramid(path: Path, data: np.ndarray, piece: int, spacing: tuple[float, ...] | None) -> Any:
    layout = plan(data.shape, data.dtype, spacing, (piece,) * (data.ndim - 1))
    with create_volume(path, data.shape, data.dtype, spacing, chunks=layout.chunks) as volume:
        volume[...] = data
    add_levels(path, layout, Path("rock.ome.zarr"))
    return zarr.open_group(str(path), mode="r")


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4"])
@pytest.mark.parametrize(
    ("shape", "piece"),
    [((1, 40, 37, 1100), 64), ((2, 130, 40, 520), 96), ((1, 900, 1201), 512), ((1, 1, 300, 600), 128)],
    ids=str,
)
def test_levels_are_block_means(tmp_path: Path, shape: tuple[int, ...], piece: int, dtype: str) -> None:
    data = (np.random.default_rng(0).random(shape) * 250).astype(dtype) - (100 if dtype in ("i2", "f4") else 0)
    data = data.astype(dtype)
    group = pyramid(tmp_path / "rock.zarr", data, piece, None)
    levels = sorted(group.array_keys())
    assert levels == [str(n) for n in range(len(level_shapes(shape)))]
    fine = data
    for name in levels[1:]:
        step = (1, *(2 if length > 1 else 1 for length in fine.shape[1:]))
        even = fine[tuple(slice(0, length // n * n) for length, n in zip(fine.shape, step, strict=True))]
        means = block_reduce(even.astype(np.float64), step, np.mean)
        fine = (means if dtype == "f4" else np.floor(means + 0.5)).astype(dtype)
        assert np.array_equal(group[name][:], fine)
    assert max(fine.shape) <= 256


def test_voxels_of_all_levels_lie_where_their_parts_lie(tmp_path: Path) -> None:
    spacing = (3.0, 2.0, 0.5)
    group = pyramid(tmp_path / "rock.zarr", np.zeros((1, 3, 8, 1030), np.uint8), 64, spacing)
    (image,) = group.attrs["ome"]["multiscales"]
    assert (image["name"], group.attrs["ome"]["version"]) == ("rock", "0.5")
    assert [axis.get("unit") for axis in image["axes"]] == [None, *["micrometer"] * 3]
    assert [group[level["path"]].shape for level in image["datasets"]] == [
        (1, 3, 8, 1030),
        (1, 1, 4, 515),
        (1, 1, 2, 257),
        (1, 1, 1, 128),
    ]
    for level, factor in zip(image["datasets"], [(1, 1, 1), (2, 2, 2), (2, 4, 4), (2, 8, 8)], strict=True):
        steps = {step["type"]: step[step["type"]] for step in level["coordinateTransformations"]}
        for axis in range(3):
            last = group[level["path"]].shape[axis + 1] - 1
            centre = last * steps["scale"][axis + 1] + steps.get("translation", [0] * 4)[axis + 1]
            parts = np.arange(last * factor[axis], (last + 1) * factor[axis]) * spacing[axis]
            assert centre == pytest.approx(parts.mean())
    assert open_volume(tmp_path / "rock.zarr").spacing == spacing


def test_means_of_large_integers_do_not_overflow() -> None:
    values = np.full((1, 2, 2, 2), np.iinfo(np.int32).max, np.int32)
    assert mean(values, (2, 2, 2)).item() == np.iinfo(np.int32).max
    values = np.full((1, 2, 2, 2), np.iinfo(np.uint16).max, np.uint16)
    assert mean(values, (2, 2, 2)).item() == np.iinfo(np.uint16).max


@pytest.mark.parametrize(
    ("shape", "piece", "shards", "chunks"),
    [
        ((1, 200, 200, 200), 64, None, 64),
        ((1, 200, 200, 200), 96, 96, 48),
        ((1, 400, 400, 400), 130, 130, 26),
        ((1, 300, 300, 300), 127, None, 127),
        ((1, 100, 100, 100), 384, 128, 64),  # a single block: its shard is rounded up to whole chunks
        ((1, 2000, 2000), 1024, 1024, 512),
        ((1, 2000, 2000), 500, None, 500),
    ],
)
def test_large_pieces_become_shards(
    tmp_path: Path, shape: tuple[int, ...], piece: int, shards: int | None, chunks: int
) -> None:
    dims = len(shape) - 1
    with create_volume(tmp_path / "rock.zarr", shape, "u1", chunks=(piece,) * dims):
        pass
    array = zarr.open_array(str(tmp_path / "rock.zarr"), path="0", mode="r")
    assert array.chunks == (1, *[chunks] * dims)
    assert array.shards == (shards and (1, *[shards] * dims))


def test_levels_of_classes_are_thinned_out_and_not_averaged(tmp_path: Path) -> None:
    data = np.random.default_rng(0).choice([0, 2], (1, 31, 33, 530)).astype(np.uint8)
    layout = plan(data.shape, data.dtype, None, (64,) * 3)
    with create_volume(tmp_path / "rock.zarr", data.shape, data.dtype, chunks=layout.chunks) as volume:
        volume[...] = data
    add_levels(tmp_path / "rock.zarr", layout, Path("rock.ome.zarr"), first)
    group: Any = zarr.open_group(str(tmp_path / "rock.zarr"), mode="r")
    for name, step in (("1", 2), ("2", 4)):
        coarse = group[name][:]
        assert np.array_equal(coarse, data[:, ::step, ::step, ::step][tuple(map(slice, coarse.shape))])
