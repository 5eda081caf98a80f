from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest

from rockmonai.volumes.blocks import Block, cut, grown, scaled, size_of, within

CASES = [
    ((7, 9, 11), (4, 3, 5), (2, 0, 3), (1, 1, 1)),
    ((16, 24), (8, 8), (3, 5), (4, 8)),
    ((5, 5), (100, 1), (2, 2), (1, 1)),
    ((1, 1, 1), (1, 1, 1), (9, 9, 9), (1, 1, 1)),
]


@pytest.mark.parametrize(("shape", "size", "halo", "stride"), CASES)
def test_every_voxel_belongs_to_one_block(shape, size, halo, stride):
    owners = np.zeros(shape, int)
    blocks = cut(shape, size, partial(grown, shape=shape, halo=halo, stride=stride))
    for block in blocks:
        owners[block.core] += 1
        assert all(n <= most for n, most in zip(size_of(block.core), size, strict=True))
    assert (owners == 1).all()
    assert [block.index for block in blocks] == list(range(len(blocks)))


@pytest.mark.parametrize(("shape", "size", "halo", "stride"), CASES)
def test_what_is_read_is_all_within_the_halo_that_exists(shape, size, halo, stride):
    for block in cut(shape, size, partial(grown, shape=shape, halo=halo, stride=stride)):
        for core, read, length, h, s in zip(block.core, block.read, shape, halo, stride, strict=True):
            needed = {i + d for i, d in product(range(length)[core], range(-h, h + 1)) if 0 <= i + d < length}
            assert needed <= set(range(length)[read])
            assert 0 <= read.start <= read.stop <= length
            assert read.start % s == 0
            assert read.stop % s == 0 or read.stop == length
            # and no more than a cell of the grid beyond it
            assert len(range(length)[read]) < len(needed) + 2 * s


def test_neighbours_along_x_follow_each_other():
    starts = [tuple(part.start for part in block.core) for block in cut((2, 4, 4), (1, 2, 2), tuple)]
    assert starts == sorted(starts)


def test_growing_stops_at_the_faces():
    assert grown((slice(2, 4), slice(0, 10)), (6, 10), (1, 3), (1, 1)) == (slice(1, 5), slice(0, 10))
    assert grown((slice(4, 6),), (12,), (1,), (4,)) == (slice(0, 8),)


def test_output_of_a_finer_grid():
    block = Block(0, (slice(1, 2), slice(3, 5)), (slice(0, 3), slice(2, 6)))
    assert block.output((1, 4)) == scaled(block.core, (1, 4)) == (slice(1, 2), slice(12, 20))
    assert within(block.core, block.read) == (slice(1, 2), slice(1, 3))
    assert size_of(block.read) == (3, 4)
