import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rockmonai.errors import DataError, UsageError
from rockmonai.volumes import Volume, open_volume

ARRAY = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    np.save(tmp_path / "rock.npy", ARRAY)
    return tmp_path / "rock.npy"


def test_describes_itself_channel_first(path: Path) -> None:
    volume = open_volume(path)
    assert (volume.shape, volume.spatial_shape, volume.spatial_dims) == ((1, 4, 5, 6), (4, 5, 6), 3)
    assert (volume.channels, volume.dtype, volume.spacing, volume.path) == (1, np.uint16, None, path)


@pytest.mark.parametrize(
    "index",
    [
        (slice(None), slice(1, 3), slice(2, None), slice(None, None, 2)),
        (0, 2),
        (0, -1, slice(None), 3),
        (..., slice(1, 4)),
        (slice(None), slice(2, 99)),
        (slice(None), slice(3, 1)),
        0,
        (0, 1, 2, 3),
    ],
    ids=str,
)
def test_indexes_like_numpy(path: Path, index: Any) -> None:
    block = open_volume(path)[index]
    assert block.shape == ARRAY[None][index].shape
    assert np.array_equal(block, ARRAY[None][index])


def test_returns_arrays_that_are_writable_and_apart_from_the_file(path: Path) -> None:
    open_volume(path)[:, :2][...] = 0
    assert np.array_equal(open_volume(path).read()[0], ARRAY)


def test_is_an_array_for_numpy(path: Path) -> None:
    assert np.asarray(open_volume(path), dtype=np.float32).mean() == pytest.approx(59.5)


@pytest.mark.parametrize("index", [(0, 0, 0, 0, 0), (0, 4), (slice(None), slice(None, None, -1))], ids=str)
def test_refuses_what_is_not_a_basic_slice(path: Path, index: Any) -> None:
    with pytest.raises(IndexError):
        open_volume(path)[index]


def test_reads_after_close_and_after_pickling(path: Path) -> None:
    with open_volume(path) as volume:
        copy = pickle.loads(pickle.dumps(volume))
    assert len(pickle.dumps(volume)) < 1000  # the voxels do not travel
    assert np.array_equal(copy.read(), volume.read())


def _read_middle(volume: Volume) -> np.ndarray:
    return volume[0, 2]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_reads_in_worker_processes(tmp_path: Path, method: str) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "rock.h5", "w") as file:
        file["rock"] = ARRAY
    volume = open_volume(tmp_path / "rock.h5")
    volume.read()
    with multiprocessing.get_context(method).Pool(2) as pool:
        for middle in pool.map(_read_middle, [volume] * 4):
            assert np.array_equal(middle, ARRAY[2])


def test_suggests_the_nearest_name_for_a_missing_file(path: Path) -> None:
    with pytest.raises(DataError, match=r"rok.npy does not exist \(did you mean 'rock.npy'\?\)"):
        open_volume(path.with_name("rok.npy"))


def test_lists_the_formats_for_an_unknown_suffix(tmp_path: Path) -> None:
    (tmp_path / "rock.xyz").write_bytes(b"")
    with pytest.raises(DataError, match=r"rock.xyz has no known suffix: use one of .tif"):
        open_volume(tmp_path / "rock.xyz")


@pytest.mark.parametrize("suffix", [".tif", ".h5", ".nii", ".nii.gz", ".nrrd", ".mha", ".png", ".jpg", ".npy", ".mat"])
def test_says_in_one_sentence_that_a_file_is_unreadable(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rock{suffix}"
    path.write_bytes(b"this is no image" * 10)
    with pytest.raises(DataError) as error:
        open_volume(path)
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)


def test_refuses_complex_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "wave.npy", np.ones((3, 4), np.complex64))
    with pytest.raises(DataError, match="complex64"):
        open_volume(tmp_path / "wave.npy")


def test_refuses_an_unknown_way_of_treating_colours(path: Path) -> None:
    with pytest.raises(UsageError, match="'gray' is unknown"):
        open_volume(path, grey="gray")  # type: ignore[arg-type]
