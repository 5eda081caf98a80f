"""A scan that a trained model is applied to: checked before any work, read piece by piece as the network wants it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from rockmonai.data.regions import Cropped, above_bar, check_region
from rockmonai.errors import DataError, UsageError, did_you_mean, find_rock_error
from rockmonai.volumes import Volume, check_finite, check_unchanged, fingerprint, open_volume, stem_of
from rockmonai.volumes.blocks import Box, in_words, scaled, size_of
from rockmonai.volumes.colour import Grey
from rockmonai.volumes.finite import finite_median, not_finite
from rockmonai.volumes.folder import slice_names

logger = logging.getLogger("rockmonai")


class Scan:
    """An image or a volume on disk, pieces of which come as a network wants them.

    Args:
        path: the file, ``file::dataset`` or folder of slices; or one of each key, where the network wants several that
            show the same sample, as in ``{"image": "sem.tif", "charge": "charge.tif"}``. The first one lends its name,
            dtype and spacing to the result; the others may be finer by a whole factor, and come so to the transform.
        transform: dictionary transforms of these keys (``"image"`` of a single path), (C, [Z,] Y, X), that leave what
            the network wants in ``"image"``. Each voxel is for itself: what they make of a piece must be the same piece
            of what they make of the whole.
        nan: ``"refuse"`` a scan with voxels that are NaN or infinite, or ``"fill"`` them with the median of the others.
        region: first voxel and end (exclusive) along (z,) y, x of what is looked at; None for all. What lies outside
            is not there: the faces of the region are those of the scan.
        grey: what becomes of colours (see :func:`rockmonai.volumes.open_volume`).
        info_bar: rows at the bottom of an image, or of every slice, that are not there either; a region lies above.

    Attributes:
        path: of the first one.
        name: of its file, without its ending.
        shape: (Z, Y, X) or (Y, X), of the region.
        channels: of the transformed scan.
        dtype: of the greys on disk.
        spacing: micrometres along (z,) y, x; None where unknown.
        slices: their names, where the scan is a folder of them; else None.

    Raises:
        DataError: if it cannot be read, holds NaN that are not to be filled, has no such region or nothing above the
            info bar, or the shapes of several differ.
        UsageError: if ``nan`` is neither.
    """

    def __init__(
        self,
        path: str | Mapping[str, str],
        transform: Callable[[dict], dict],
        nan: str = "refuse",
        region: Sequence[Sequence[int]] | None = None,
        grey: Grey = "strict",
        info_bar: int = 0,
    ) -> None:
        if nan not in ("refuse", "fill"):
            raise UsageError(f"nan is {nan!r}; use 'refuse' or 'fill'{did_you_mean(nan, ('refuse', 'fill'))}.")
        self.transform = transform
        self._paths = {"image": path} if isinstance(path, str) else dict(path)
        volumes = {key: open_volume(one, grey=grey) for key, one in self._paths.items()}
        self.path, first = next(iter(self._paths.values())), next(iter(volumes.values()))
        self._finer = {key: _finer(volume, first) for key, volume in volumes.items()}
        self.name, self.dtype, self.spacing = stem_of(self.path), first.dtype, first.spacing
        above = above_bar(first.spatial_shape, info_bar, self.path)
        if region is not None:
            check_region(region, above, self.path)
        spans = [[0, n] for n in above] if region is None else [list(span) for span in region]
        self.shape = tuple(stop - start for start, stop in spans)
        self.slices = (slice_names(self.path) or [])[slice(*spans[0])] or None
        self._volumes = {
            key: Cropped(volume, [[n * s for n in span] for span, s in zip(spans, self._finer[key], strict=True)])
            for key, volume in volumes.items()
        }
        self._fill = {key: _filling(volume) if nan == "fill" else None for key, volume in self._volumes.items()}
        if nan == "refuse":
            for cropped in self._volumes.values():
                check_finite(cropped)
        self._fingerprints = {key: fingerprint(one) for key, one in self._paths.items()}
        self.channels = len(self.read(tuple(slice(0, 1) for _ in self.shape)))

    def check_unchanged(self) -> None:
        """See that the files are as they were when the scan was opened.

        Raises:
            DataError: one was changed, replaced or removed in the meantime.
        """
        for key, path in self._paths.items():
            check_unchanged(path, self._fingerprints[key])

    @property
    def paths(self) -> list[str]:
        """All that is read, as it was given."""
        return list(self._paths.values())

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What tells this scan from another, or from itself after a change."""
        return self._fingerprints if len(self._paths) > 1 else next(iter(self._fingerprints.values()))

    @property
    def spatial_dims(self) -> int:
        """3 for a volume, 2 for an image."""
        return len(self.shape)

    def read(self, box: Box) -> torch.Tensor:
        """Return a piece (C, *size of the box), mirrored at the far faces of the scan where the box reaches beyond.

        Raises:
            DataError: the file is damaged.
        """
        inside = tuple(slice(part.start, min(part.stop, n)) for part, n in zip(box, self.shape, strict=True))
        try:
            piece = torch.as_tensor(self.transform({key: self._greys(key, inside) for key in self._paths})["image"])
        except Exception as error:
            cause = find_rock_error(error)
            if cause is None:
                raise
            raise cause from error  # MONAI's transforms wrap it
        beyond = [whole - part for whole, part in zip(size_of(box), size_of(inside), strict=True)]
        if not any(beyond):
            return piece
        mirrored = np.pad(piece.numpy(), [(0, 0), *((0, width) for width in beyond)], mode="symmetric")
        return torch.from_numpy(mirrored)

    def samples(self, count: int, sides: Sequence[int]) -> list[torch.Tensor]:
        """Return pieces (1, C, *sides) spread evenly from one corner of the scan to the opposite one.

        Args:
            count: how many at most; fewer where they would cover the scan.
            sides: their lengths along (z,) y, x; where the scan is shorter, it is mirrored at its far faces.
        """
        count = min(count, max(math.ceil(n / side) for side, n in zip(sides, self.shape, strict=True)))
        pieces = []
        for step in range(count):
            share = step / (count - 1) if count > 1 else 0.5
            corner = [round(share * max(0, n - side)) for side, n in zip(sides, self.shape, strict=True)]
            box = tuple(slice(a, a + side) for a, side in zip(corner, sides, strict=True))
            pieces.append(self.read(box)[None])
        return pieces

    def _greys(self, key: str, box: Box) -> np.ndarray:
        """Return what is on the disk, filled where it is not finite."""
        greys = self._volumes[key][(slice(None), *scaled(box, self._finer[key]))]
        fill = self._fill[key]
        return greys if fill is None else np.where(np.isfinite(greys), greys, greys.dtype.type(fill))


def _finer(volume: Volume, first: Volume) -> tuple[int, ...]:
    """Return how many voxels of ``volume`` lie along one of ``first``, on each axis."""
    sizes = list(zip(volume.spatial_shape, first.spatial_shape, strict=False))
    if volume.spatial_dims != first.spatial_dims or any(fine % coarse for fine, coarse in sizes):
        raise DataError(
            f"{volume.path} has {in_words(volume.spatial_shape)} voxels and {first.path} "
            f"{in_words(first.spatial_shape)}: they must show the same sample, in as many voxels or a whole number of "
            "times more; crop or resample one of them."
        )
    return tuple(fine // coarse for fine, coarse in sizes)


def _filling(volume: Cropped) -> float | None:
    """Return what stands in for the voxels that are not finite, None where all are; and tell how many there are."""
    count, first = not_finite(volume)
    if first is None:
        return None
    median = finite_median(volume)
    where = ", ".join("zyx"[-len(first) :])
    logger.warning(
        f"{volume.path} has {count} NaN/Inf voxels, first at ({where}) = {first}: they are taken for {median:g}, the "
        "median of the others; what is predicted there is a guess."
    )
    return median


def check_dimensions(scan: Scan, spatial_dims: int, slicewise: str | None) -> None:
    """Refuse a volume for a 2D model that was not told how to take it, and an image for a 3D model.

    Raises:
        DataError: if so.
    """
    size = in_words(scan.shape)
    if scan.spatial_dims > spatial_dims and slicewise is None:
        raise DataError(
            f"{scan.path} is a volume of {size} voxels and the model is 2D: pass --slicewise z to take it slice by "
            "slice, or --slicewise zyx for the mean of three directions."
        )
    if scan.spatial_dims < spatial_dims or (slicewise is not None and scan.spatial_dims == 2):
        wants = "a 3D model" if spatial_dims == 3 else "--slicewise"
        raise DataError(
            f"{scan.path} is 1 slice of {size} pixels and {wants} needs a volume: pass --spatial_dims 2 "
            "with a 2D model, or a file or folder with more slices."
        )
