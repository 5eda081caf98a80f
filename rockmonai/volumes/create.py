"""New volumes on disk that appear complete or not at all."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from rockmonai.errors import OutputError, RockError, first_line
from rockmonai.volumes.atomic import output_errors, partial_name
from rockmonai.volumes.formats import creator
from rockmonai.volumes.indexing import lengths, resolve, spatial_axes
from rockmonai.volumes.publish import publish_all, refuse_existing
from rockmonai.volumes.source import CHUNK, Layout, Sink


class WritableVolume:
    """A volume (C, Z, Y, X) or an image (C, Y, X) being written; made by `create_volume`.

    Everything is written in a hidden folder beside the target. Leaving the ``with`` block publishes it by renaming,
    unless an exception does, which removes it and leaves the target as it was.

    Attributes:
        path: the final name.
        shape: (C, Z, Y, X) or (C, Y, X).
        dtype: of the values.
        spacing: micrometres along (z,) y, x; None where unknown.
    """

    def __init__(self, path: Path, layout: Layout, overwrite: bool) -> None:
        self.path, self.shape, self.dtype, self.spacing = path, layout.shape, layout.dtype, layout.spacing
        self._overwrite = overwrite
        format_module = creator(path)
        refuse_existing(path, overwrite, layout.names or ())
        self._folder = partial_name(path)
        self._sink: Sink | None = None
        with output_errors(path):
            self._folder.mkdir()
        try:
            with output_errors(path):
                self._sink = format_module.create(self._folder / path.name, layout)
            for entry in self._folder.iterdir():
                refuse_existing(path.with_name(entry.name), overwrite, layout.names or ())
        except BaseException as error:
            self.discard()
            if isinstance(error, RockError) or not isinstance(error, Exception):
                raise
            raise OutputError(
                f"{path} cannot hold {layout.shape} {layout.dtype} ({first_line(error)}): choose another format."
            ) from error

    def __setitem__(self, index: Any, values: Any) -> None:
        """Write ``values`` (array or tensor on the CPU) to basic slices over (C, [Z,] Y, X).

        Raises:
            OutputError: the dtype does not fit, the disk is full, or the volume was closed.
        """
        if self._sink is None:
            raise OutputError(f"{self.path} is closed: write to it inside its with block.")
        values = np.asarray(values)
        if not np.can_cast(values.dtype, self.dtype, "same_kind"):
            raise OutputError(
                f"{self.path} holds {self.dtype} and was given {values.dtype}: convert (and round) it first."
            )
        slices, squeeze = resolve(index, self.shape)
        size = lengths(slices)
        if 0 in size:
            return
        kept = tuple(n for n, item in zip(size, squeeze, strict=True) if isinstance(item, slice))
        block = np.broadcast_to(values, kept).reshape(size).astype(self.dtype, copy=False)

        axes = "C" + spatial_axes(len(self.shape))
        stored = [axes.index(axis) for axis in self._sink.axes]
        if "C" not in self._sink.axes:
            block, stored = block[0], [n - 1 for n in stored]
            slices = slices[1:]
        with output_errors(self.path):
            self._sink.array[tuple(slices[n] for n in stored)] = block.transpose(stored)

    def close(self) -> None:
        """Complete the volume and publish it under its final name.

        Raises:
            OutputError: the disk is full, or another process has written the target in the meantime.
        """
        if self._sink is None:
            return
        try:
            with output_errors(self.path):
                self._sink.finish()
                publish_all(self._folder, self.path, self._overwrite)
        finally:
            self._sink = None
            _remove(self._folder)

    def discard(self) -> None:
        """Remove what was written and leave the target as it was."""
        if self._sink is not None:
            self._sink.discard()
        self._sink = None
        _remove(self._folder)

    def __enter__(self) -> WritableVolume:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


def _remove(folder: Path) -> None:
    """Remove a folder in which the threads of a failed Zarr write may still be leaving chunks."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)


def create_volume(
    path: str | Path,
    shape: Sequence[int],
    dtype: Any,
    spacing: Sequence[float] | None = None,
    *,
    chunks: Sequence[int] | None = None,
    overwrite: bool = False,
    colour: bool = False,
    names: Sequence[str] | None = None,
) -> WritableVolume:
    """Return a new volume to be filled by slices inside a ``with`` block, in the format of the suffix.

    ``.ome.zarr`` / ``.zarr`` (OME-Zarr 0.5; what is written block by block is compressed block by block),
    ``.tif`` (OME-TIFF), ``.h5``, ``.nii`` / ``.nii.gz``, ``.nrrd``, ``.mha``, ``.npy``, ``.raw`` (the last two with a
    JSON sidecar), ``.png`` (one slice); without a suffix a folder of numbered slices, ``000.png`` and so on.

    Args:
        path: the final name; its folder must exist.
        shape: (C, Z, Y, X) or (C, Y, X).
        dtype: of the values.
        spacing: micrometres along (z,) y, x; None where unknown.
        chunks: lengths along (z,) y, x of the pieces of a chunked format; by default 64 in 3D and 512 in 2D. Writing
            blocks that are multiples of it is fastest. In Zarr, longer ones are shards of smaller chunks.
        overwrite: replace an existing target, once the new one is complete.
        colour: the three channels are red, green and blue of 8 bits: TIFF and PNG say so to other programs.
        names: of the slices of a folder, without an ending; None to number them.

    Raises:
        OutputError: the target exists, its folder cannot be written, the disk is full, or the format cannot hold this.
    """
    return WritableVolume(Path(path), plan(shape, dtype, spacing, chunks, colour, names), overwrite)


def plan(
    shape: Sequence[int],
    dtype: Any,
    spacing: Sequence[float] | None,
    chunks: Sequence[int] | None,
    colour: bool = False,
    names: Sequence[str] | None = None,
) -> Layout:
    """Return what a new volume shall hold, its arguments checked; see `create_volume`."""
    shape = tuple(int(size) for size in shape)
    if len(shape) not in (3, 4) or min(shape) < 1:
        raise OutputError(f"a volume is (C, Z, Y, X) or (C, Y, X) with at least one voxel, not {shape}.")
    spatial = shape[1:]
    pieces = tuple(chunks or [CHUNK[len(spatial)]] * len(spatial))
    if len(pieces) != len(spatial) or (spacing is not None and len(spacing) != len(spatial)):
        raise OutputError(f"chunks {pieces} and spacing {spacing} must have one value for each of {spatial}.")
    dtype = np.dtype(np.uint8 if np.dtype(dtype) == bool else dtype)
    if colour and (shape[0] != 3 or dtype != np.uint8):
        raise OutputError(f"colours are three channels of uint8, not {shape} {dtype}.")
    if names is not None and len(names) != spatial[0]:
        raise OutputError(f"{len(names)} names do not fit {spatial[0]} slices.")
    return Layout(
        shape,
        dtype,
        None if spacing is None else tuple(float(size) for size in spacing),
        tuple(min(int(piece), size) for piece, size in zip(pieces, spatial, strict=True)),
        colour,
        None if names is None else tuple(names),
    )
