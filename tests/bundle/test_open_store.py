"""What an inference says before it begins, and what an output is made from."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import tifffile

from rockmonai.bundle import open_store
from rockmonai.data import Scan
from rockmonai.errors import ModelError, find_rock_error
from rockmonai.inferers import tile
from rockmonai.networks import SRResNet
from rockmonai.transforms import ScaleGreyd
from rockmonai.volumes import create_volume
from tests.bundles.runs import tiny_network, workflow, write_model


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
