import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from rockmonai.volumes import journal
from rockmonai.volumes.journal import Entry

WHERE = (slice(0, 2), slice(4, 8))


def test_an_entry_has_the_crc_of_the_values_in_c_order() -> None:
    values = np.arange(16, dtype=np.uint16).reshape(1, 2, 8)[..., ::2]
    assert Entry.of(3, WHERE, values) == Entry(3, WHERE, zlib.crc32(values.tobytes()))


def test_lines_are_json_and_on_the_disk_at_once(tmp_path: Path) -> None:
    journal.append(tmp_path, 1, Entry(3, WHERE, 7))
    (line,) = (tmp_path / "journal-1.jsonl").read_text().splitlines()
    assert json.loads(line) == {"block": 3, "where": [[0, 2], [4, 8]], "crc32": 7, "clipped": 0}


@pytest.mark.parametrize(
    "torn", ['{"block": 2, "wh', '{"block": 2}', "\0\0\0", "2", '{"block": 2, "where": 1, "crc32": 0}']
)
def test_a_torn_line_is_ignored(tmp_path: Path, torn: str) -> None:
    journal.begin(tmp_path, {"seed": 0})
    journal.append(tmp_path, 0, Entry(1, WHERE, 7))
    with open(tmp_path / "journal-0.jsonl", "a") as file:
        file.write(torn)
    assert journal.written(tmp_path) == [Entry(1, WHERE, 7)]


def test_the_lines_of_all_ranks_are_read_once_each(tmp_path: Path) -> None:
    journal.begin(tmp_path, {"seed": 0}, [Entry(0, WHERE, 1)])
    for rank in range(3):
        journal.append(tmp_path, rank, Entry(rank, WHERE, 1))
    assert sorted(entry.block for entry in journal.written(tmp_path)) == [0, 1, 2]
    assert journal.intact(tmp_path) == [Entry(0, WHERE, 1)]


def test_beginning_keeps_the_header_and_what_is_intact(tmp_path: Path) -> None:
    assert journal.header_of(tmp_path) is None
    journal.append(tmp_path, 4, Entry(1, WHERE, 7))
    journal.begin(tmp_path, {"seed": 0}, [Entry(0, WHERE, 1)])
    assert journal.header_of(tmp_path) == {"seed": 0}
    assert journal.written(tmp_path) == [Entry(0, WHERE, 1)]


def test_a_block_that_was_written_again_counts_once_as_it_is_now(tmp_path: Path) -> None:
    journal.begin(tmp_path, {"seed": 0}, [Entry(0, WHERE, 1), Entry(1, WHERE, 1)])
    for crc32 in (2, 3):
        journal.append(tmp_path, 0, Entry(1, WHERE, crc32))
    assert journal.written(tmp_path) == [Entry(0, WHERE, 1), Entry(1, WHERE, 3)]
