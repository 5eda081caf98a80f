"""What an inference says before it begins, and what an output is made from."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import tifffile

from rockmonai.bundle import open_store
from rockmonai.data import Scan
from rockmonai.errors import ModelError, UsageError, find_rock_error
from rockmonai.inferers import tile
from rockmonai.networks import SRResNet
from rockmonai.transforms import ScaleGreyd
from rockmonai.volumes import BlockStore, create_volume, open_volume
from tests.bundles.runs import predict, tiny_network, workflow, write_model


@pytest.fixture
def parts(tmp_path):
    """A scan with voxels of 2 x 3 x 3 µm, blocks of it for a network of scale 2, and a file of weights."""
    grey = np.random.default_rng(0).integers(0, 256, (1, 20, 30, 40), dtype=np.uint8)
    with create_volume(tmp_path / "scan.nii.gz", grey.shape, "uint8", (2.0, 3.0, 3.0)) as volume:
        volume[:] = grey
    (tmp_path / "model.pt").write_bytes(b"weights")
    scan = Scan(str(tmp_path / "scan.nii.gz"), ScaleGreyd("image"))
    network = SRResNet(3, scale=2, width=2, blocks=1, norm=None, head_kernel=3, tail_kernel=3)
    return scan, tile(scan, network, 16), str(tmp_path / "model.pt")


def test_the_store_holds_the_finer_volume_with_its_spacing(parts, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "rockmonai"):
        store = open_store(str(tmp_path / "fine.ome.zarr"), *parts)
    header = json.loads((tmp_path / "fine.ome.zarr.partial" / "journal.jsonl").read_text().splitlines()[0])
    assert header["output"] | {"pieces": None} == {
        "shape": [1, 40, 60, 80],
        "dtype": "uint8",
        "spacing": [1.0, 1.5, 1.5],
        "pieces": None,
    }
    assert store.done == set()
    first, second = (message.replace(f"{tmp_path}/", "") for message in caplog.messages)
    assert first == (
        "scan.nii.gz (20 x 30 x 40 uint8) -> fine.ome.zarr (40 x 60 x 80 uint8, voxels of 1 x 1.5 x 1.5 µm)"
    )
    assert second.startswith("12 blocks of 16 x 16 x 16 voxels, 6 more on each side; memory of the layers: about ")
    assert f" MB; disk: about {1.1 * 40 * 60 * 80 / 1e6:.2f} MB of " in second and second.endswith("B free")


def test_weights_and_blocks_are_part_of_what_is_continued(parts, tmp_path):
    open_store(str(tmp_path / "fine.tif"), *parts).close()
    open_store(str(tmp_path / "fine.tif"), *parts).close()
    with open(parts[-1], "ab") as file:
        file.write(b"!")
    with pytest.raises(ModelError, match="weights"):
        open_store(str(tmp_path / "fine.tif"), *parts)
    assert open_store(str(tmp_path / "fine.tif"), *parts, overwrite=True).done == set()


def test_where_and_how_fast_it_runs_is_not_part_of_it(tmp_path):
    write_model(tmp_path)
    tifffile.imwrite(tmp_path / "scan.tif", np.ones((40, 40), np.uint8))
    files = {"input_file": str(tmp_path / "scan.tif"), "output_file": str(tmp_path / "f.tif")}
    options = tiny_network(ckpt_dir=str(tmp_path), **files)
    options["run"] = "$@store.close()"
    for more in ({"block_size": 16}, {"block_size": [16, 16], "num_workers": 2}, {"block_size": [16, 16], "halo": 5}):
        workflow("srgan", "inference", "infer", **options | more).run()
    with pytest.raises(Exception) as caught:
        workflow("srgan", "inference", "infer", **options, seed=3, block_size=16).run()
    assert "(config#seed 0 -> 3)" in str(find_rock_error(caught.value))


def test_what_is_not_wanted_is_not_opened(parts, tmp_path):
    before = sorted(tmp_path.iterdir())
    assert open_store(None, *parts, beside="uncertainty") is None
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("beside", "channels"), [("uncertainty", 1), ("colours", 3)])
def test_what_stands_beside_classes_is_bytes_of_its_own_channels(parts, tmp_path, caplog, beside, channels):
    with caplog.at_level(logging.INFO, "rockmonai"):
        store = open_store(str(tmp_path / "beside.ome.zarr"), *parts, beside=beside)
    assert (store.shape, store.dtype, store.classes) == ((channels, 40, 60, 80), np.uint8, False)
    (line,) = caplog.messages
    assert line.startswith(f"beside it {tmp_path}/beside.ome.zarr ({beside}, uint8): 12 blocks; disk: about ")
    with pytest.raises(UsageError, match="use 'uncertainty' or 'colours'"):
        open_store(str(tmp_path / "other.tif"), *parts, beside="colors")


def test_a_config_asks_for_what_it_wants_beside_the_classes(tmp_path, monkeypatch):
    """With nothing but names of files, which a run that is continued may still change."""
    wanted = {"_target_": "rockmonai.bundle.open_store", "scan": "@scan", "tiling": "@tiling", "weights": "@ckpt_path"}
    overlay = {
        "uncertainty_file": None,
        "colour_file": None,
        "colours": [[255, 0, 0], [0, 255, 0], [0, 0, 255]],
        "uncertainty": wanted | {"output_file": "@uncertainty_file", "beside": "uncertainty"},
        "picture": wanted | {"output_file": "@colour_file", "beside": "colours"},
        "writer#uncertainty": "@uncertainty",
        "writer#picture": "@picture",
        "writer#colours": "@colours",
        "dataset#done": "$@writer.done",
    }
    (tmp_path / "beside.json").write_text(json.dumps(overlay))
    write_model(tmp_path, "sem_segmentation")
    grey = np.random.default_rng(0).integers(0, 256, (8, 40, 50), dtype=np.uint8)
    for number, plane in enumerate(grey, 7):
        (tmp_path / "scans").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "scans" / f"SEM{number}.tif", plane)
    config, names = ["inference", str(tmp_path / "beside.json")], {f"SEM{number}.png" for number in range(7, 15)}
    options = {"config": config, "bundle": "sem_segmentation", "slicewise": "z", "block_size": [4, 16, 16]}
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.delattr(BlockStore, "complete")
        predict(tmp_path / "scans", tmp_path / "classes", tmp_path, **options)
    files = {f"{key}_file": str(tmp_path / key) for key in ("uncertainty", "colour")}
    predict(tmp_path / "scans", tmp_path / "classes", tmp_path, **options, **files)
    classes, unsure = (open_volume(tmp_path / name).read() for name in ("classes", "uncertainty"))
    shown = open_volume(tmp_path / "colour", grey="keep").read()
    assert all({path.name for path in (tmp_path / name).iterdir()} == names for name in ("classes", "colour"))
    assert np.array_equal(shown, np.eye(3, dtype=np.uint8)[classes[0]].transpose(3, 0, 1, 2) * 255)
    assert unsure.shape == classes.shape and unsure.std() > 1
