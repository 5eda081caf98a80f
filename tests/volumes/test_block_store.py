import json
import logging
import math
import os
import random
import resource
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import nibabel
import numpy as np
import pytest
import tifffile
import zarr

from rockmonai.errors import ModelError, OutputError
from rockmonai.volumes import BlockStore, open_volume, sha256_of
from rockmonai.volumes.blocks import Block, cut

SHAPE, PIECE = (1, 50, 40, 60), 32
IDENTITY: dict[str, Any] = {
    "input": {"size": 1, "sha256": "ab", "modified": "1"},
    "config": {"roi": [64, 64], "seed": 0},
}

# One run as a process: it writes what is missing, says so block by block, and publishes.
RUN = """
import json, sys
import numpy as np
from rockmonai.volumes import BlockStore
from rockmonai.volumes.blocks import cut

path, shape, piece = sys.argv[1], tuple(json.loads(sys.argv[2])), int(sys.argv[3])
data = np.random.default_rng(0).integers(0, 60000, shape).astype(np.uint16)
dims = len(shape) - 1
store = BlockStore(path, shape, np.uint16, (2.0,) * dims, (piece,) * dims, {"seed": 0})
for block in cut(shape[1:], (piece,) * dims, lambda core: core):
    if block.index not in store.done:
        store.write(block.index, block.core, data[(slice(None), *block.core)])
        print("wrote", block.index, flush=True)
print("publishing", flush=True)
store.publish()
"""


def rock(shape: tuple[int, ...] = SHAPE, dtype: str = "u2") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 60000, shape).astype(dtype)


def blocks_of(shape: tuple[int, ...] = SHAPE, piece: int = PIECE) -> list[Block]:
    dims = len(shape) - 1
    return cut(shape[1:], (piece,) * dims, lambda core: core)


def store_at(path: Path, shape: tuple[int, ...] = SHAPE, piece: int = PIECE, **options: Any) -> BlockStore:
    dims = len(shape) - 1
    return BlockStore(path, shape, "u2", (3.0, 2.5, 1.25)[-dims:], (piece,) * dims, **{"identity": IDENTITY} | options)


def fill(store: BlockStore, blocks: list[Block], data: np.ndarray) -> None:
    for block in blocks:
        store.write(block.index, block.core, data[(slice(None), *block.core)])


def interrupted(path: Path, count: int = 3) -> None:
    store = store_at(path)
    fill(store, blocks_of()[:count], rock())
    store.close()


def files_of(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {path.name: path.read_bytes()}
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def live_chunks(path: Path) -> list[Path]:
    return sorted(f for f in Path(f"{path}.partial/volume.ome.zarr/0/c").rglob("*") if f.is_file())


@pytest.mark.parametrize(
    ("name", "shape", "piece"),
    [
        ("rock.ome.zarr", (1, 200, 180, 190), 96),  # shards of 48 voxel chunks
        ("rock.tif", (1, 100, 90, 110), 32),
        ("rock.h5", (2, 1500, 1100), 544),
    ],
)
def test_a_run_that_is_killed_at_any_moment_ends_with_the_same_bytes(
    tmp_path: Path, name: str, shape: tuple[int, ...], piece: int
) -> None:
    def start(folder: str) -> "subprocess.Popen[str]":
        target = tmp_path / folder / name
        arguments = [sys.executable, "-c", RUN, str(target), json.dumps(shape), str(piece)]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)

    assert len(start("whole").communicate()[0].splitlines()) == len(blocks_of(shape, piece)) + 1
    chance, written = random.Random(name), list[str]()
    for stop in [*(chance.randint(1, max(1, len(blocks_of(shape, piece)) // 4)) for _ in range(4)), "publishing"]:
        with start("killed") as process:
            assert process.stdout is not None
            for count, line in enumerate(process.stdout, 1):
                written += [line] if line != "publishing\n" else []
                if line.strip() == stop or count == stop:
                    break
            try:
                process.wait(chance.uniform(0, 0.02))
            except subprocess.TimeoutExpired:
                process.kill()
            written += [line for line in process.stdout if line != "publishing\n"]
    if not (tmp_path / "killed" / name).exists():
        written += [line for line in start("killed").communicate()[0].splitlines(True) if line != "publishing\n"]

    # No block was written twice; a kill may have come between a block's line in the journal and what the process said.
    assert len(blocks_of(shape, piece)) - 5 <= len(set(written)) == len(written)
    whole, killed = (files_of(tmp_path / folder / name) for folder in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert whole == killed
    assert np.array_equal(open_volume(tmp_path / "killed" / name).read(), rock(shape))


@pytest.mark.parametrize("shape", [SHAPE, (2, 50, 40, 60), (1, 70, 90)], ids=str)
@pytest.mark.parametrize(
    "suffix", [".ome.zarr", ".tif", ".h5", ".nii", ".nii.gz", ".nrrd", ".mha", ".npy", ".raw", ".png"]
)
def test_every_format_is_published_with_its_values_and_spacing(
    tmp_path: Path, suffix: str, shape: tuple[int, ...]
) -> None:
    path, data = tmp_path / f"rock{suffix}", rock(shape)
    if (suffix == ".png" and len(shape) == 4) or (suffix in (".nrrd", ".mha") and shape[0] == 2):
        with pytest.raises(OutputError, match=r"takes one (slice|channel)"):  # before any work
            store_at(path, shape)
        assert not list(tmp_path.iterdir())
        return
    store = store_at(path, shape)
    fill(store, blocks_of(shape), data)
    store.publish()
    volume = open_volume(path)
    assert volume.spacing == pytest.approx((3.0, 2.5, 1.25)[1 - len(shape) :], rel=1e-4)
    assert np.array_equal(volume.read(), data)
    assert {entry.name for entry in tmp_path.iterdir()} <= {path.name, "rock.json", "rock.npy.json"}


def test_other_programs_read_what_is_published(tmp_path: Path) -> None:
    for suffix in (".tif", ".h5", ".nii.gz", ".ome.zarr"):
        store = store_at(tmp_path / f"rock{suffix}")
        fill(store, blocks_of(), rock())
        store.publish()
    with h5py.File(tmp_path / "rock.h5") as file:
        assert np.array_equal(file["volume"], rock()[0])
    nifti: Any = nibabel.load(tmp_path / "rock.nii.gz")
    assert np.array_equal(np.asarray(nifti.dataobj).T, rock()[0])
    assert nifti.header.get_zooms() == pytest.approx((1.25, 2.5, 3.0))
    assert np.array_equal(tifffile.imread(tmp_path / "rock.tif"), rock()[0])
    assert np.array_equal(zarr.open_array(str(tmp_path / "rock.ome.zarr"), path="0", mode="r")[:], rock())


@pytest.mark.parametrize("suffix", [".tif", ".h5", ".nrrd"])
def test_an_interruption_leaves_no_trace_in_a_file(tmp_path: Path, suffix: str) -> None:
    hashes = []
    for folder, stops in (("a", []), ("b", [2, 5])):
        path = tmp_path / folder / f"rock{suffix}"
        for stop in [*stops, None]:
            store = store_at(path)
            fill(store, [block for block in blocks_of()[:stop] if block.index not in store.done], rock())
            store.close()
        store_at(path).publish()
        hashes.append(sha256_of(path))
    assert hashes[0] == hashes[1]


def test_what_is_there_is_told_and_not_written_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    interrupted(tmp_path / "rock.tif")
    with caplog.at_level(logging.INFO, "rockmonai"):
        store = store_at(tmp_path / "rock.tif")
    assert store.done == {0, 1, 2}
    assert caplog.messages == ["resuming: 3 of 8 blocks are there"]


@pytest.mark.parametrize("damage", ["flip", "cut", "swap", "remove"])
@pytest.mark.parametrize("piece", [PIECE, 96])
def test_a_damaged_block_is_computed_again(
    tmp_path: Path, damage: str, piece: int, caplog: pytest.LogCaptureFixture
) -> None:
    path, shape = tmp_path / "rock.ome.zarr", (1, 150, 40, 150)
    data, blocks = rock(shape), blocks_of(shape, piece)
    store = store_at(path, shape, piece)
    fill(store, blocks[:-1], data)
    store.close()
    chunk, other = live_chunks(path)[1], live_chunks(path)[0].read_bytes()
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "remove":
        chunk.unlink()
    else:
        chunk.write_bytes({"flip": bytes(content), "cut": bytes(content)[: len(content) // 3], "swap": other}[damage])
    (chunk.parent / "0.0123abcd.partial").write_bytes(b"left by a kill")

    with caplog.at_level(logging.INFO, "rockmonai"):
        store = store_at(path, shape, piece)
    assert store.done == {block.index for block in blocks[:-1]} - {1}
    assert caplog.messages[0].endswith("blocks are there, 1 is damaged and will be computed again")
    assert len(live_chunks(path)) == len(store.done)
    fill(store, [blocks[1], blocks[-1]], data)
    store.publish()
    assert np.array_equal(open_volume(path).read(), data)


def test_empty_blocks_count_as_written(tmp_path: Path) -> None:
    interrupted(tmp_path / "rock.ome.zarr")
    store = store_at(tmp_path / "rock.ome.zarr")
    fill(store, blocks_of()[3:], np.zeros_like(rock()))
    store.close()
    store = store_at(tmp_path / "rock.ome.zarr")
    assert store.done == set(range(8))


def test_an_incomplete_volume_is_not_published(tmp_path: Path) -> None:
    interrupted(tmp_path / "rock.ome.zarr", 7)
    with pytest.raises(OutputError, match=r"is not complete \(.* of 120000 voxels are written\)"):
        store_at(tmp_path / "rock.ome.zarr").publish()
    assert os.listdir(tmp_path) == ["rock.ome.zarr.partial"]


def test_a_publication_that_was_cut_short_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rock.tif"
    store = store_at(path)
    fill(store, blocks_of(), rock())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("rockmonai.volumes.block_store.publish_all", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        store.publish()
    store.close()
    assert not path.exists()
    store_at(path).publish()
    assert np.array_equal(open_volume(path).read(), rock())


def test_what_a_kill_after_the_publication_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rock.tif"
    store = store_at(path)
    fill(store, blocks_of(), rock())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("rockmonai.volumes.block_store.partial_name", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        store.publish()
    store.close()
    assert sorted(os.listdir(tmp_path)) == ["rock.tif", "rock.tif.partial"]
    with pytest.raises(OutputError, match=r"rock.tif exists"):
        store_at(path)
    assert os.listdir(tmp_path) == ["rock.tif"]


def test_ranks_share_a_store_and_its_journals_are_read_together(tmp_path: Path) -> None:
    interrupted(tmp_path / "rock.tif")
    ranks = [store_at(tmp_path / "rock.tif", rank=rank) for rank in range(2)]
    assert ranks[0].done == ranks[1].done == {0, 1, 2}
    fill(ranks[1], blocks_of()[3:5], rock())
    assert store_at(tmp_path / "rock.tif", rank=2).done == {0, 1, 2}  # all ranks share the same missing blocks
    for rank in ranks:
        rank.close()
    store = store_at(tmp_path / "rock.tif")
    assert store.done == {0, 1, 2, 3, 4}
    fill(store, blocks_of()[5:], rock())
    store.publish()
    assert np.array_equal(open_volume(tmp_path / "rock.tif").read(), rock())


def test_a_block_is_made_of_whole_pieces(tmp_path: Path) -> None:
    store = store_at(tmp_path / "rock.tif")
    with pytest.raises(AssertionError):
        store.write(0, (slice(16, 48), slice(0, 32), slice(0, 32)), rock((1, 32, 32, 32)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"config": {"roi": [64, 96], "seed": 0}},
            r"begun with other values \(config#roi#1 64 -> 96\); rerun",
        ),
        ({"weights": "12"}, r'weights null -> "12"'),
        (
            {"input": IDENTITY["input"] | {"size": 2}},
            r"the input has changed since .* \(input#size 1 -> 2\); restore",
        ),
    ],
)
def test_a_run_is_not_continued_with_other_values(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    interrupted(tmp_path / "rock.tif")
    with pytest.raises(ModelError, match=message) as error:
        store_at(tmp_path / "rock.tif", identity=IDENTITY | change)
    assert str(error.value).endswith("pass --overwrite true to start anew, or choose another --output_file.")
    assert store_at(tmp_path / "rock.tif").done == {0, 1, 2}  # nothing was lost, and the lock was released


def test_another_size_of_pieces_is_another_output(tmp_path: Path) -> None:
    interrupted(tmp_path / "rock.tif")
    with pytest.raises(ModelError, match=r"output#pieces#0 32 -> 16"):
        store_at(tmp_path / "rock.tif", piece=16)


def test_overwriting_starts_anew_and_replaces_the_output_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "rock.ome.zarr"
    interrupted(path)
    store = store_at(path, overwrite=True, identity={"config": 2})
    assert store.done == set()
    assert not live_chunks(path)
    fill(store, blocks_of(), rock())
    store.publish()
    with pytest.raises(OutputError, match=r"rock.ome.zarr exists"):
        store_at(path)
    store = store_at(path, overwrite=True)
    fill(store, blocks_of(), rock() + 1)
    assert np.array_equal(open_volume(path).read(), rock())
    store.publish()
    assert np.array_equal(open_volume(path).read(), rock() + 1)
    assert os.listdir(tmp_path) == ["rock.ome.zarr"]


def test_an_output_that_appeared_in_the_meantime_is_kept(tmp_path: Path) -> None:
    for suffix in (".tif", ".ome.zarr"):
        path = tmp_path / f"rock{suffix}"
        store = store_at(path)
        fill(store, blocks_of(), rock())
        path.write_text("from another program")
        with pytest.raises(OutputError, match=rf"rock{suffix} exists"):
            store.publish()
        store.close()
        assert path.read_text() == "from another program"
        path.unlink()
        store_at(path).publish()
        assert np.array_equal(open_volume(path).read(), rock())


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "rock.ome.zarr"
    script = RUN.replace('print("wrote", block.index, flush=True)', "print('wrote', flush=True); input()")
    arguments = [sys.executable, "-c", script, str(path), json.dumps(SHAPE), str(PIECE)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        with pytest.raises(
            OutputError, match=rf"is being written by process {process.pid} on {os.uname().nodename} since"
        ):
            store_at(path, overwrite=overwrite)
        assert len(live_chunks(path)) == 1
        process.kill()
        process.wait()
        store = BlockStore(path, SHAPE, "u2", (2.0,) * 3, (PIECE,) * 3, {"seed": 0}, overwrite)
        assert store.done == {0}, "overwrite is for what is finished: the same run goes on"
        process.stdin.close()


def test_a_disk_that_fills_up_keeps_what_was_written(tmp_path: Path) -> None:
    path, limits = tmp_path / "rock.ome.zarr", resource.getrlimit(resource.RLIMIT_FSIZE)
    interrupted(path)
    store = store_at(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"the disk is full while writing .*rock.ome.zarr"):
            fill(store, blocks_of()[3:], rock())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    store.close()
    store = store_at(path)
    assert store.done == {0, 1, 2}
    fill(store, blocks_of()[3:], rock())
    store.publish()
    assert np.array_equal(open_volume(path).read(), rock())


@pytest.mark.parametrize("suffix", [".tif", ".ome.zarr"])
def test_a_disk_that_fills_up_at_the_end_publishes_nothing(tmp_path: Path, suffix: str) -> None:
    path, limits, shape = tmp_path / f"rock{suffix}", resource.getrlimit(resource.RLIMIT_FSIZE), (1, 300, 300)
    store = store_at(path, shape)
    fill(store, blocks_of(shape), rock(shape))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500, limits[1]))
    try:
        with pytest.raises(OutputError, match="the disk is full"):
            store.publish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    store.close()
    assert os.listdir(tmp_path) == [f"rock{suffix}.partial"]
    store_at(path, shape).publish()
    assert np.array_equal(open_volume(path).read(), rock(shape))


def test_a_disk_that_is_too_small_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix, times in ((".tif", 2), (".ome.zarr", 1)):
        needed = int(1.1 * times * 2 * math.prod(SHAPE))
        for free in (needed - 1, needed):
            monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
            if free < needed:
                with pytest.raises(OutputError, match=r"needs about 0.0 GB and 0.0 GB are free: make room"):
                    store_at(tmp_path / f"rock{suffix}")
                assert not list(tmp_path.iterdir())
        assert store_at(tmp_path / f"rock{suffix}").bytes_needed == needed
        shutil.rmtree(tmp_path / f"rock{suffix}.partial")


def test_a_folder_that_cannot_be_written_and_an_unknown_format_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be made .*; choose another --output_file"):
        store_at(tmp_path / "file" / "rock.tif")
    with pytest.raises(OutputError, match="suffix is unknown"):
        store_at(tmp_path / "rock.xyz")
    monkeypatch.setattr(os, "access", lambda *_: False)  # a real one would not stop root
    with pytest.raises(OutputError, match="cannot be written; choose another --output_file"):
        store_at(tmp_path / "rock.tif")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("suffix", [".ome.zarr", ".tif", ".h5", ".nii.gz", ".nrrd", ".npy"])
def test_publishing_needs_the_memory_of_a_few_blocks(tmp_path: Path, suffix: str) -> None:
    shape, piece = (1, 264, 132, 264), 66
    store = store_at(tmp_path / f"rock{suffix}", shape, piece)
    fill(store, blocks_of(shape, piece), rock(shape))
    tracemalloc.start()
    store.publish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < math.prod(shape) * 2 / 2 and peak < 16 * piece**3 * 2


@pytest.mark.parametrize("piece", [PIECE, 96])
def test_a_block_that_is_there_is_replaced_and_counted_once(tmp_path: Path, piece: int) -> None:
    path, shape = tmp_path / "rock.ome.zarr", (1, 150, 40, 150)
    blocks = blocks_of(shape, piece)
    store = store_at(path, shape, piece)
    fill(store, blocks[:-2], rock(shape))
    store.close()
    store = store_at(path, shape, piece)
    fill(store, blocks[:-1], rock(shape) + 1)  # all that was there, and one more
    with pytest.raises(OutputError, match="is not complete"):
        store.publish()
    store.close()
    store = store_at(path, shape, piece)
    assert store.done == {block.index for block in blocks[:-1]}
    fill(store, blocks[-1:], rock(shape) + 1)
    store.publish()
    assert np.array_equal(open_volume(path).read(), rock(shape) + 1)


@pytest.mark.parametrize("suffix", [".ome.zarr", ".tif"])
def test_what_takes_long_can_be_done_before_the_name_appears(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rock{suffix}"
    store = store_at(path)
    fill(store, blocks_of(), rock())
    store.complete()
    store.close()
    assert os.listdir(tmp_path) == [f"rock{suffix}.partial"]
    store = store_at(path)  # after a kill at this moment
    assert store.done == set(range(8))
    store.complete()
    store.publish()
    assert os.listdir(tmp_path) == [f"rock{suffix}"] and np.array_equal(open_volume(path).read(), rock())


def test_coarser_levels_of_colours_hold_no_others(tmp_path: Path) -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 0]], np.uint8)
    data = colours[np.random.default_rng(0).integers(0, 3, (300, 280))].transpose(2, 0, 1)
    store = BlockStore(tmp_path / "rock.ome.zarr", data.shape, "u1", None, (300, 280), IDENTITY, colour=True)
    store.write(0, (slice(0, 300), slice(0, 280)), data)
    store.publish()
    coarse = zarr.open_array(str(tmp_path / "rock.ome.zarr"), path="1", mode="r")[:]
    assert np.array_equal(coarse, data[:, ::2, ::2])
