import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from rockmonai.errors import DataError
from rockmonai.volumes import check_unchanged, fingerprint


def scan(path: Path, size: int = 5_000_000) -> Path:
    path.write_bytes(np.random.default_rng(0).bytes(size))
    return path


def test_a_copy_differs_by_its_time_only(tmp_path: Path) -> None:
    first = fingerprint(scan(tmp_path / "a.tif"))
    shutil.copyfile(tmp_path / "a.tif", tmp_path / "b.tif")
    os.utime(tmp_path / "b.tif", ns=(1, 1))
    second = fingerprint(tmp_path / "b.tif")
    assert first != second
    assert first | {"modified": ""} == second | {"modified": ""}
    assert (first["size"], first["files"]) == (5_000_000, 1)


@pytest.mark.parametrize("at", [0, 100_000 // 2, 4_999_999])
def test_another_first_or_last_byte_or_a_sampled_one_shows(tmp_path: Path, at: int) -> None:
    before = fingerprint(scan(tmp_path / "a.tif"))["sha256"]
    with open(tmp_path / "a.tif", "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
    assert fingerprint(tmp_path / "a.tif")["sha256"] != before


def test_every_byte_of_a_small_file_counts(tmp_path: Path) -> None:
    hashes = set()
    for at in range(0, 900_000, 90_000):
        content = bytearray(900_000)
        content[at] = 1
        (tmp_path / "a.tif").write_bytes(content)
        hashes.add(fingerprint(tmp_path / "a.tif")["sha256"])
    assert len(hashes) == 10


def test_a_file_of_100_gb_costs_no_time(tmp_path: Path) -> None:
    with open(tmp_path / "large.raw", "wb") as file:
        file.truncate(100 * 10**9)
    start = time.perf_counter()
    assert fingerprint(tmp_path / "large.raw")["size"] == 100 * 10**9
    assert time.perf_counter() - start < 1


def test_folders_of_slices_and_zarr_are_taken(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(40):
            tifffile.imwrite(tmp_path / folder / f"{number}.tif", np.full((8, 8), number, np.uint8))
    assert fingerprint(tmp_path / "a")["sha256"] == fingerprint(tmp_path / "b")["sha256"]
    assert fingerprint(tmp_path / "a")["files"] == 40
    (tmp_path / "a" / "0.tif").rename(tmp_path / "a" / "z.tif")
    assert fingerprint(tmp_path / "a")["sha256"] != fingerprint(tmp_path / "b")["sha256"]

    array: Any = zarr.create_array(str(tmp_path / "scan.zarr"), data=np.arange(1000.0))
    before = fingerprint(tmp_path / "scan.zarr")
    array[0] = 7
    assert fingerprint(tmp_path / "scan.zarr")["sha256"] != before["sha256"]


def test_a_data_set_is_part_of_the_identity_and_so_is_a_sidecar(tmp_path: Path) -> None:
    scan(tmp_path / "a.h5", 100)
    one, two = (fingerprint(f"{tmp_path}/a.h5::{name}") for name in ("one", "two"))
    assert (one["dataset"], two["dataset"], one["sha256"]) == ("one", "two", two["sha256"])
    scan(tmp_path / "a.raw", 100)
    before = fingerprint(tmp_path / "a.raw")
    (tmp_path / "a.json").write_text('{"dtype": "int16"}')
    assert fingerprint(tmp_path / "a.raw")["sha256"] != before["sha256"]


def test_a_change_during_the_run_is_refused(tmp_path: Path) -> None:
    path = scan(tmp_path / "a.tif")
    before = fingerprint(path)
    check_unchanged(path, before)
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match=r"a.tif was modified during the run"):
        check_unchanged(path, before)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        check_unchanged(path, before)
