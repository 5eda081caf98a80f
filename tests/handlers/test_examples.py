from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch
from ignite.engine import Engine

from rockmonai.handlers import Examples

NAMES = ["coal_10", "coal_9", "berea_2", "other"]


def evaluate(folder, shape=(1, 6, 8), **options):
    """Run an engine over batches of one; return the predictions by name."""
    rng = np.random.default_rng(0)
    made = {
        name: {key: torch.from_numpy(rng.normal(size=shape).astype(np.float32)) for key in ("label", "bicubic", "pred")}
        for name in NAMES
    }
    engine = Engine(lambda engine, batch: [made[batch[0]["name"]]])
    engine.state.rank = 0
    Examples(str(folder), **options).attach(engine)
    engine.run([[{"name": name}] for name in NAMES])
    return made


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"groups": "prefix"}, {"coal_9", "berea_2", "other"}),
        ({"groups": "prefix", "count": 2}, {"berea_2", "coal_9"}),
        ({"groups": ["coal"]}, {"coal_9", "berea_2"}),
        ({}, {"berea_2"}),
    ],
)
def test_keeps_the_first_image_of_each_group_by_name(tmp_path, options, kept):
    evaluate(tmp_path, **options)
    for key in ("label", "bicubic", "pred"):
        assert {path.stem for path in (tmp_path / "examples" / key).iterdir()} == kept


def test_values_are_those_that_were_judged(tmp_path):
    made = evaluate(tmp_path, groups="prefix")
    for key, image in made["coal_9"].items():
        found = tifffile.imread(tmp_path / "examples" / key / "coal_9.tif")
        assert found.dtype == np.float32 and np.array_equal(found, image[0].numpy())


def test_of_a_volume_it_keeps_the_middle_slice(tmp_path):
    made = evaluate(tmp_path, shape=(1, 5, 6, 8))
    found = tifffile.imread(tmp_path / "examples" / "pred" / "berea_2.tif")
    assert np.array_equal(found, made["berea_2"]["pred"][0, 2].numpy())
