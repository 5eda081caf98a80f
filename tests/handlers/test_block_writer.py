"""Predictions of blocks become the greys of a volume, block by block."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
from monai.engines import SupervisedEvaluator

from rockmonai.data import BlockDataset, BlockLoader, Scan
from rockmonai.errors import DataError, ModelError, NumericalError
from rockmonai.handlers import BlockWriter
from rockmonai.inferers import tile
from rockmonai.transforms import ScaleGreyd
from rockmonai.volumes import BlockStore


def write(folder, predict, dtype="uint8", grey_range="dtype", grey=None, classes=False):
    """Run an evaluator whose inferer is ``predict`` over blocks of 16 x 16 of a scan; return the file."""
    grey = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8) if grey is None else grey
    tifffile.imwrite(folder / "scan.tif", grey)
    scan = Scan(str(folder / "scan.tif"), ScaleGreyd("image", (0, 255)))
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    tiling = tile(scan, network, 16)
    store = BlockStore(folder / "fine.tif", (1, 40, 50), dtype, None, tiling.size, {}, classes=classes)
    writer = BlockWriter(store, scan, tiling, grey_range)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=BlockLoader(BlockDataset(scan, tiling.blocks)),
        network=network,
        inferer=predict,
        val_handlers=[writer],
        decollate=False,
    )
    evaluator.run()
    clipped = store.clipped
    writer.publish()
    return tifffile.imread(folder / "fine.tif"), grey, clipped


def as_read(inputs, network):
    """What was read, halo and all."""
    return inputs


def test_the_core_is_cut_out_of_a_prediction_with_its_halo(tmp_path):
    found, grey, clipped = write(tmp_path, as_read)
    assert np.array_equal(found, grey)
    assert clipped == 0


@pytest.mark.parametrize(("dtype", "factor"), [("uint8", 1), ("uint16", 257)])
def test_the_range_of_the_type_is_that_of_the_output(tmp_path, dtype, factor):
    found, grey, _ = write(tmp_path, as_read, dtype)
    assert found.dtype == dtype and np.array_equal(found, grey.astype(int) * factor)


def test_a_range_of_greys_is_that_of_the_scan_whatever_the_type(tmp_path):
    found, grey, _ = write(tmp_path, as_read, "float32", (0, 255))
    np.testing.assert_allclose(found, grey, atol=1e-4)


def test_without_a_range_the_prediction_is_written_as_it_is(tmp_path):
    found, _, _ = write(tmp_path, lambda inputs, network: torch.full_like(inputs, 7.0), grey_range=None)
    assert (found == 7).all()


def test_values_beyond_the_type_are_clipped_and_counted_never_wrapped(tmp_path):
    found, grey, clipped = write(tmp_path, lambda inputs, network: inputs * 1.5)
    expected = np.rint(grey * 1.5 - 63.75)
    assert np.array_equal(found, expected.clip(0, 255))
    assert clipped == ((expected < 0) | (expected > 255)).mean() > 0.2


@pytest.mark.parametrize("grey_range", ["dtype", None])
def test_a_store_of_classes_holds_the_number_of_the_greatest_channel(tmp_path, grey_range):
    found, grey, clipped = write(
        tmp_path,
        lambda inputs, network: torch.cat([torch.zeros_like(inputs), inputs, 4 * inputs - 2], dim=1),
        grey_range=grey_range,
        classes=True,
    )
    scaled = grey / 127.5 - 1
    assert np.array_equal(found, np.where(scaled > 2 / 3, 2, np.where(scaled > 0, 1, 0))) and clipped == 0


@pytest.mark.parametrize(("grey_range", "dtype"), [((18000, 42000), "uint8"), ((-9, -1), "uint16")])
def test_greys_that_the_type_cannot_hold_are_refused_and_leave_nothing_behind(tmp_path, grey_range, dtype):
    with pytest.raises(DataError, match=f"none of which {dtype} can hold: pass an --output_dtype that does"):
        write(tmp_path, as_read, dtype, grey_range)
    assert not list(tmp_path.glob("fine*"))


def test_greys_of_which_the_type_holds_some_are_clipped(tmp_path):
    found, _, clipped = write(tmp_path, as_read, "uint8", (255, 300))
    assert (found == 255).all() and clipped > 0.9


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinities_end_the_run(tmp_path, value):
    with pytest.raises(NumericalError, match="check its weights, or run without amp"):
        write(tmp_path, lambda inputs, network: inputs + value)
    assert not (tmp_path / "fine.tif").exists()


def test_a_prediction_of_another_size_is_refused(tmp_path):
    with pytest.raises(ModelError, match="The prediction of block 0 has 10 x 10 voxels where 16 x 16 are wanted"):
        write(tmp_path, lambda inputs, network: inputs[..., :10, :10])


def test_a_failure_lets_another_run_have_the_output(tmp_path):
    with pytest.raises(NumericalError):
        write(tmp_path, lambda inputs, network: inputs + np.nan)
    found, grey, _ = write(tmp_path, as_read)
    assert np.array_equal(found, grey)


def test_only_the_first_rank_publishes(tmp_path, monkeypatch):
    writer = BlockWriter.__new__(BlockWriter)
    writer.store = SimpleNamespace()  # without anything to call
    waited = []
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 1)
    monkeypatch.setattr("torch.distributed.barrier", lambda: waited.append(1))
    writer.publish()
    assert waited == [1]
