from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch
from monai.data import MetaTensor
from monai.transforms import Compose

from rockmonai.data import BlockDataset, BlockLoader, Scan, block_dataset
from rockmonai.transforms import ScaleGreyd
from rockmonai.volumes.blocks import cut, grown, size_of


@pytest.fixture
def scan(tmp_path):
    greys = np.random.default_rng(0).integers(0, 256, (9, 10, 11), np.uint8)
    tifffile.imwrite(tmp_path / "rock.tif", greys, photometric="minisblack")
    return Scan(str(tmp_path / "rock.tif"), Compose([ScaleGreyd("image")]))


@pytest.fixture
def blocks():
    return cut((9, 10, 11), (4, 5, 6), lambda core: grown(core, (9, 10, 11), (2, 2, 2), (1, 1, 1)))


def test_item_is_a_block_with_its_halo(scan, blocks):
    dataset = BlockDataset(scan, blocks)
    assert len(dataset) == len(blocks) == 12
    whole = scan.read(tuple(slice(0, n) for n in scan.shape))
    for number, block in enumerate(blocks):
        item = dataset[number]
        assert item["block"] == item["image"].meta["block"] == block.index
        assert item["image"].shape == (1, 1, *size_of(block.read))
        assert torch.equal(item["image"][0].as_tensor(), whole[(slice(None), *block.read)])


def test_finished_blocks_are_left_out(scan, blocks):
    dataset = BlockDataset(scan, blocks, done={0, 2, 3})
    assert [dataset[number]["block"] for number in range(3)] == [1, 4, 5]
    assert len(dataset) == 9


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_ranks_share_what_is_missing(scan, blocks, ranks, monkeypatch):
    monkeypatch.setattr(block_dataset.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(block_dataset.dist, "get_world_size", lambda: ranks)
    shares = []
    for rank in range(ranks):
        monkeypatch.setattr(block_dataset.dist, "get_rank", lambda rank=rank: rank)
        shares += [[block.index for block in BlockDataset(scan, blocks, done=[3]).blocks]]
    assert sorted(index for share in shares for index in share) == [0, 1, 2, *range(4, 12)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_workers_read_the_same(scan, blocks):
    alone, helped = (list(BlockLoader(BlockDataset(scan, blocks[:5]), workers)) for workers in (0, 2))
    assert len(alone) == len(helped) == 5
    for one, other in zip(alone, helped, strict=True):
        assert one["block"] == other["block"]
        assert isinstance(other["image"], MetaTensor)
        assert other["image"].meta["block"] == one["block"]
        assert torch.equal(one["image"].as_tensor(), other["image"].as_tensor())


def test_nothing_left_to_read(scan, blocks):
    assert list(BlockLoader(BlockDataset(scan, blocks, done=range(12)), 2)) == []
