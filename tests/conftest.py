"""What all tests share: a quiet, offline machine and small rocks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests.bundles.runs import write_small_set

PROJECT = Path(__file__).parent.parent
torch.set_num_threads(1)  # the tests of one machine run side by side


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Let every test draw the same, its fixtures included, whichever ran before it in this process."""
    torch.manual_seed(0)


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
    """A data set of tiny textured pairs."""
    return write_small_set(tmp_path / "set")
