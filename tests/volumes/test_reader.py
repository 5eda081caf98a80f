from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

from rockmonai.errors import DataError
from rockmonai.volumes import VolumeReader, create_volume

ARRAY = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(1, 4, 5, 6)


def load(path: Any, reader: Any = "rockmonai.volumes.VolumeReader", **how: Any) -> Any:
    read = Compose([LoadImaged("image", reader=reader, **how), EnsureChannelFirstd("image")])
    return read({"image": path})["image"]


@pytest.mark.parametrize("suffix", [".tif", ".h5", ".ome.zarr", ".nii.gz", ".nrrd", ".npy", ".raw"])
@pytest.mark.parametrize("reader", ["rockmonai.volumes.VolumeReader", VolumeReader])
def test_monai_loads_every_format_alike(tmp_path: Path, suffix: str, reader: Any) -> None:
    with create_volume(tmp_path / f"rock{suffix}", ARRAY.shape, "u2", (3, 2, 1.5)) as volume:
        volume[...] = ARRAY
    image = load(tmp_path / f"rock{suffix}", reader)
    assert np.array_equal(image, ARRAY.astype(np.float32))
    assert np.allclose(image.affine, np.diag([3, 2, 1.5, 1]))
    assert list(image.meta["spatial_shape"]) == [4, 5, 6]
    assert image.meta["original_dtype"] == "uint16"
    assert image.meta["filename_or_obj"] == image.meta["filename"] == str(tmp_path / f"rock{suffix}")


def test_two_dimensions_channels_and_dtype(tmp_path: Path) -> None:
    rgb = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    tifffile.imwrite(tmp_path / "rock.tif", rgb, photometric="rgb")
    image = load(tmp_path / "rock.tif", VolumeReader, grey="keep", dtype=torch.uint8)
    assert np.array_equal(image, rgb.transpose(2, 0, 1))
    assert image.affine.shape == (3, 3)


def test_several_files_become_channels(tmp_path: Path) -> None:
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", ARRAY[0] + ord(name))
    image = load([tmp_path / "a.npy", tmp_path / "b.npy"])
    assert np.array_equal(image, np.concatenate([ARRAY + ord("a"), ARRAY + ord("b")]))


def test_our_sentence_reaches_the_caller(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as error:
        load(tmp_path / "none.tif")
    assert isinstance(error.value.__cause__, DataError) or isinstance(error.value, DataError)


def test_batches_in_worker_processes(tmp_path: Path) -> None:
    for n in range(3):
        np.save(tmp_path / f"{n}.npy", ARRAY[0] + n)
    items = [{"image": str(tmp_path / f"{n}.npy")} for n in range(3)]
    data = Dataset(items, LoadImaged("image", reader=VolumeReader))
    batches = list(DataLoader(data, batch_size=3, num_workers=2))
    assert batches[0]["image"].shape == (3, 1, 4, 5, 6)
    assert [int(b.min()) for b in batches[0]["image"]] == [0, 1, 2]
