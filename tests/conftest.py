"""What all tests share: a quiet, offline machine and small rocks."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

PROJECT = Path(__file__).parent.parent
torch.set_num_threads(1)  # the tests of one machine run side by side


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep the sample rock out of the user's cache; all workers of one run share it."""
    base = tmp_path_factory.getbasetemp()
    os.environ["ROCKMONAI_CACHE"] = str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache")


@pytest.fixture
def real_data():
    """The folder of real rock images, or a skip where it is absent."""
    folder = Path(os.environ.get("ROCKMONAI_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real rock images in {folder} (set ROCKMONAI_TEST_DATA)")
    return folder


@pytest.fixture
def small_set(tmp_path):
    """A data set of tiny textured pairs: 3 + 2 + 2 images of 48x48, x2."""
    rng = np.random.default_rng(0)
    for split, count in {"train": 3, "validation": 2, "test": 2}.items():
        for modality in ("image", "label"):
            (tmp_path / "set" / split / modality).mkdir(parents=True)
        for number in range(count):
            coarse = rng.integers(0, 255, (24, 24), dtype=np.uint8)
            tifffile.imwrite(tmp_path / "set" / split / "image" / f"rock{number}.tif", coarse)
            tifffile.imwrite(tmp_path / "set" / split / "label" / f"rock{number}.tif", coarse.repeat(2, 0).repeat(2, 1))
    return tmp_path / "set"
