"""A volume that is written block by block, survives being killed, and is published when it is complete."""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from rockmonai.errors import OutputError
from rockmonai.volumes import journal, ome_zarr
from rockmonai.volumes.atomic import make_writable, output_errors, partial_name
from rockmonai.volumes.blocks import Box, boxes, size_of
from rockmonai.volumes.changes import changes
from rockmonai.volumes.create import WritableVolume, plan
from rockmonai.volumes.formats import creator
from rockmonai.volumes.journal import Entry
from rockmonai.volumes.lock import Lock
from rockmonai.volumes.publish import publish, publish_all
from rockmonai.volumes.pyramid import add_levels, first, level_shapes, mean
from rockmonai.volumes.resume import clear, header_for, is_intact, refuse_another, sweep
from rockmonai.volumes.source import Layout

logger = logging.getLogger("rockmonai")

# Noise does not compress; what a file system adds.
_MARGIN = 1.1


def begun_with(output_file: str | Path) -> Mapping[str, Any] | None:
    """Return the identity of the unfinished run that would be continued in ``output_file``; None if there is none."""
    return journal.header_of(_folder_of(Path(output_file)))


def _refuse_strangers(folder: Path) -> None:
    """Raise an OutputError if something else has the name of the folder of an unfinished output."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / "lock").exists()):
        raise OutputError(f"{folder} is no unfinished output: move it away, or choose another --output_file.")


def _folder_of(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


class BlockStore:
    """A volume on its way to ``output_file``, living in ``<output_file>.partial`` until it is published.

    There it is an OME-Zarr, each block of which is a file that appears whole, and journals with a CRC of every block.
    A process that is killed at any moment loses the block in flight: the same call finds the folder, reads every
    block back and goes on with those that are missing or damaged. The voxels and files of the result do not depend
    on how often that happened.

    Several ranks share one store: rank 0 opens it first, the others after a barrier, and rank 0 publishes after
    another one. No two of them may write the same block. One thread of a process may write while others compute.

    Args:
        output_file: the final name; its suffix chooses the format, see `create_volume`.
        shape: (C, Z, Y, X) or (C, Y, X).
        dtype: of the values.
        spacing: micrometres along (z,) y, x; None where unknown.
        pieces: lengths of a block along (z,) y, x.
        identity: nested values, as JSON holds them, on which the result depends, such as ``{"input": fingerprint(path),
            "weights": sha256, "config": {...}}``. A run is only continued with the same.
        overwrite: replace an existing output at the end, and forget an unfinished one that was begun with another
            identity; one with the same is continued.
        rank: of this process.
        classes: the values are numbers of classes, which the coarser levels of an OME-Zarr must not average.
        colour: the three channels are red, green and blue of classes, which must not be averaged either.
        names: of the slices of a folder, see `create_volume`.

    Attributes:
        path: the final name.
        shape: (C, Z, Y, X) or (C, Y, X).
        classes: whether the values are numbers of classes.
        dtype: of the values.
        done: the blocks that were found complete and intact when the store was opened.
        bytes_needed: of the disk, about, for what is still missing.

    Raises:
        OutputError: the output exists or is being written by another process, the format is unknown or cannot hold
            this, the folder cannot be written, or the disk has not enough room.
        ModelError: an unfinished run with another identity is there.
    """

    def __init__(
        self,
        output_file: str | Path,
        shape: Sequence[int],
        dtype: Any,
        spacing: Sequence[float] | None,
        pieces: Sequence[int],
        identity: Mapping[str, Any],
        overwrite: bool = False,
        rank: int = 0,
        classes: bool = False,
        colour: bool = False,
        names: Sequence[str] | None = None,
    ) -> None:
        self.path, self.classes = Path(output_file), classes
        self._layout, self._overwrite = plan(shape, dtype, spacing, pieces, colour, names), overwrite
        self._rank, self.shape, self.dtype = rank, self._layout.shape, self._layout.dtype
        self._is_zarr = creator(self.path) is ome_zarr
        self._folder = _folder_of(self.path)
        self._volume, self._converted = self._folder / "volume.ome.zarr", self._folder / "converted"
        self._lock: Lock | None = None
        self._completed = False
        if rank == 0:
            make_writable(self.path.parent, "choose another --output_file")
            with output_errors(self.path):
                _refuse_strangers(self._folder)
                self._folder.mkdir(exist_ok=True)
                self._lock = Lock(self._folder / "lock", self.path)
                try:
                    self._begin_or_resume(header_for(identity, self._layout))
                except BaseException:
                    if journal.header_of(self._folder) is None:
                        shutil.rmtree(self._folder, ignore_errors=True)
                    self._lock.release()
                    raise
        self._array = self._open()
        found = journal.intact(self._folder)
        self.done = frozenset(entry.block for entry in found)
        self.bytes_needed = self._bytes_needed(found)

    def write(self, index: int, where: Box, values: np.ndarray, clipped: int = 0) -> None:
        """Write a block, then its line in the journal; a block that is there already is replaced.

        Args:
            index: the number of the block.
            where: its voxels along (z,) y, x; whole pieces, as two writers of one would lose each other's voxels.
            values: (C, [Z,] Y, X) in the dtype of the volume.
            clipped: how many of them were beyond the ends of the dtype, to be summed up in the end.

        Raises:
            OutputError: the disk is full or cannot be written; what was written before stays.
        """
        layout = self._layout
        assert values.shape == (layout.shape[0], *size_of(where)) and values.dtype == layout.dtype
        for part, piece, length in zip(where, layout.chunks, layout.shape[1:], strict=True):
            assert part.start % piece == 0 and (part.stop % piece == 0 or part.stop == length), (where, layout.chunks)
        with output_errors(self.path):
            self._array[(slice(None), *where)] = values
            journal.append(self._folder, self._rank, Entry.of(index, where, values, clipped))

    def complete(self) -> None:
        """Do all that takes long of `publish`, which need not be called after it at once.

        Raises:
            OutputError: blocks are missing, or the disk is full; the folder stays.
        """
        written, total = _voxels(journal.written(self._folder)), math.prod(self._layout.shape[1:])
        if written != total:
            raise OutputError(
                f"{self.path} is not complete ({written} of {total} voxels are written): run the same command again."
            )
        with output_errors(self.path):
            if self._is_zarr:
                averaged = not (self.classes or self._layout.colour)
                add_levels(self._volume, self._layout, self.path, mean if averaged else first)
            else:
                self._convert()
        self._completed = True

    def publish(self) -> None:
        """Turn the complete volume into ``output_file`` and remove the folder; for rank 0, when all have written.

        Raises:
            OutputError: blocks are missing, the disk is full, or another program has made the output in the meantime;
                the folder stays.
        """
        if not self._completed:
            self.complete()
        with output_errors(self.path):
            if self._is_zarr:
                publish(self._volume, self.path, self._overwrite)
            else:
                publish_all(self._converted, self.path, self._overwrite)
            # The journals go first: what a kill leaves of the rest is then no run to be resumed.
            clear(self._folder, keep=["lock", self._volume.name])
            clear(self._folder, keep=["lock"])
            # Another process may begin under this name as soon as the lock is released.
            empty = partial_name(self.path)
            os.replace(self._folder, empty)
        self.close()
        shutil.rmtree(empty, ignore_errors=True)

    @property
    def clipped(self) -> float:
        """Share of the values written so far, by any rank and any earlier run, that were clipped."""
        entries = journal.written(self._folder)
        return sum(entry.clipped for entry in entries) / max(1, self._layout.shape[0] * _voxels(entries))

    def close(self) -> None:
        """Release the lock; the folder stays, to be resumed."""
        if self._lock is not None:
            self._lock.release()

    def discard(self) -> None:
        """Remove all that was written, and release the lock."""
        clear(self._folder, keep=["lock"])
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin_or_resume(self, header: dict[str, Any]) -> None:
        _try_format(self.path, self._layout, self._overwrite)
        before = journal.header_of(self._folder)
        if before is None or (self._overwrite and changes(before, header)) or not self._volume.exists():
            clear(self._folder, keep=["lock"])
            self._refuse_small_disk([])
            ome_zarr.create(self._volume, self._layout)
            journal.begin(self._folder, header)
            return
        refuse_another(before, header, self._folder)
        array, entries = self._open(), journal.written(self._folder)
        intact = [entry for entry in entries if is_intact(array, entry)]
        self._tell(len(intact), len(entries) - len(intact))
        journal.begin(self._folder, header, intact)
        clear(self._folder, keep=["lock", "journal.jsonl", self._volume.name])
        clear(self._volume, keep=["zarr.json", "0"])
        sweep(self._volume / "0", array, intact)
        self._refuse_small_disk(intact)

    def _open(self) -> Any:
        return zarr.open_array(str(self._volume), path="0", mode="r+")

    def _tell(self, intact: int, damaged: int) -> None:
        total = math.prod(-(-n // piece) for n, piece in zip(self._layout.shape[1:], self._layout.chunks, strict=True))
        again = f", {damaged} {'is' if damaged == 1 else 'are'} damaged and will be computed again" if damaged else ""
        logger.info(f"resuming: {intact} of {total} blocks are there{again}")

    def _refuse_small_disk(self, intact: Sequence[Entry]) -> None:
        needed, free = self._bytes_needed(intact), shutil.disk_usage(self._folder).free
        if needed > free:
            raise OutputError(
                f"{self.path} needs about {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free: make room, or choose "
                "another --output_file."
            )

    def _bytes_needed(self, intact: Sequence[Entry]) -> int:
        shape = self._layout.shape
        levels = [math.prod(level) for level in level_shapes(shape)] if self._is_zarr else [2 * math.prod(shape)]
        missing = sum(levels) - shape[0] * _voxels(intact)
        return int(_MARGIN * missing * self._layout.dtype.itemsize)

    def _convert(self) -> None:
        """Copy the volume block by block into the format of the output."""
        self._converted.mkdir(exist_ok=True)
        layout = replace(self._layout, chunks=self._array.chunks[1:])
        with WritableVolume(self._converted / self.path.name, layout, True) as target:
            for box in boxes(tuple(slice(0, length) for length in layout.shape[1:]), layout.chunks):
                target[(slice(None), *box)] = self._array[(slice(None), *box)]


def _try_format(path: Path, layout: Layout, overwrite: bool) -> None:
    """Find out by a volume of one voxel whether the name is free and the format takes such values."""
    one = (1,) * len(layout.chunks)
    WritableVolume(path, replace(layout, shape=(layout.shape[0], *one), chunks=one), overwrite).discard()


def _voxels(entries: Sequence[Entry]) -> int:
    return sum(math.prod(size_of(entry.where)) for entry in entries)
