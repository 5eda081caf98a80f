"""Random windows at any angle, magnification and bend: one interpolation between the file and the patch."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from monai.utils import ensure_tuple, ensure_tuple_rep

from rockmonai.errors import DataError
from rockmonai.transforms.acceptance import Rule, first_accepted
from rockmonai.transforms.crop import name_of, read_box

Region = Sequence[tuple[int, int]]

_LINEAR = {2: "bilinear", 3: "trilinear"}
# A bend is drawn at so many places along each axis of a patch, and straight between them.
_NODES = 6


class RandSimilarityCropd(Randomizable, MapTransform):
    """Cuts one random window from all keys, which are on one grid: turned, mirrored, magnified and bent at random.

    The magnification makes up for images that were taken at different ones. What is sampled is read from the file and
    nothing else; beyond the border of the image or region it is mirrored.

    Args:
        keys: keys of lazy volumes, arrays or tensors (C, *spatial); the results are tensors of the same dtypes.
        patch_size: length of the window in voxels, one number or one per axis.
        spatial_dims: 2 or 3. With 2, a volume gives one random slice along z, the same for all keys: (C, Y, X).
        nearest: keys whose values are not interpolated, such as maps of classes and masks.
        zoom: smallest and largest magnification: with 0.5 the window shows twice as many voxels along each axis. Drawn
            uniformly on a logarithmic scale.
        turn: turn and mirror at random, by any angle (in 3D about any axis); otherwise the axes keep their directions.
        bend: standard deviation of the displacements, in voxels of the window; 0 keeps straight lines straight.
        reference: key whose voxels the region is counted in, and that messages name.
        magnification_key: key of an optional factor, of the record, that multiplies its zoom; it is removed.
        roi_key: key of an optional region ``[[start, stop], ...]`` that no window leaves; it is removed.
        accept: rules that a window must meet.
        max_tries: windows to try before giving up.
        allow_missing_keys: leave out keys that a record does not have.

    Raises:
        DataError: the keys differ in shape, or have fewer axes than the window.
        NoWindow: no acceptable window in ``max_tries``.
    """

    def __init__(
        self,
        keys: KeysCollection,
        patch_size: int | Sequence[int],
        spatial_dims: int,
        nearest: KeysCollection = (),
        zoom: tuple[float, float] = (1.0, 1.0),
        turn: bool = True,
        bend: float = 0.0,
        reference: str = "image",
        magnification_key: str = "magnification",
        roi_key: str = "roi",
        accept: Sequence[Rule] = (),
        max_tries: int = 100,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.patch_size = ensure_tuple_rep(patch_size, spatial_dims)
        self.spatial_dims = spatial_dims
        self.nearest = ensure_tuple(nearest)
        self.zoom = zoom
        self.turn = turn
        self.bend = bend
        self.reference = reference
        self.magnification_key = magnification_key
        self.roi_key = roi_key
        self.accept = tuple(accept)
        self.max_tries = max_tries
        self.magnification = 1.0

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys cut to the window, without its region."""
        keys = list(self.key_iterator(data))
        region = self._region(keys, data)
        self.magnification = data.get(self.magnification_key, 1.0)
        kept = {key: value for key, value in data.items() if key not in (self.roi_key, self.magnification_key)}

        def draw() -> dict[Hashable, Any]:
            self.randomize(region)
            box, grid = self._box_and_grid(region)
            cut = {key: read_box(data[key], box, self.spatial_dims) for key in keys}
            return {**kept, **{key: sampled(x, grid, key in self.nearest, self._coarser()) for key, x in cut.items()}}

        return first_accepted(draw, self.accept, self.max_tries, name_of(self.reference, data))

    def randomize(self, data: Region) -> None:
        """Draw magnification, directions, bend and centre of a window in the region ``data``."""
        dims = self.spatial_dims
        low, high = map(math.log, self.zoom)
        self.drawn_zoom = self.magnification * math.exp(self.R.uniform(low, high))
        self.directions = _orthogonal(self.R.standard_normal((dims, dims))) if self.turn else np.eye(dims)
        self.bends = self.bend * self.R.standard_normal((dims, *(_NODES,) * dims))
        # Half of the extent of the turned window along each axis: where it fits, it stays inside.
        half = np.abs(self.directions) @ np.array(self.patch_size) / 2 / self.drawn_zoom
        self.centre = []
        for (start, stop), margin in zip(data, [0.0] * (len(data) - dims) + half.tolist(), strict=True):
            margin = min(margin, (stop - start) / 2)
            self.centre.append(self.R.uniform(start + margin, stop - margin))

    def _coarser(self) -> int:
        """Return how many voxels are averaged before they are sampled, which would leave them out otherwise."""
        return max(1, int(1 / self.drawn_zoom))

    def _region(self, keys: Sequence[Hashable], data: Mapping[Hashable, Any]) -> Region:
        shapes = {tuple(data[key].shape[1:]) for key in keys}
        shape = tuple(data[self.reference].shape[1:])
        if shapes != {shape}:
            raise DataError(
                f"A turned window needs keys on one grid; those of {name_of(self.reference, data)} have the shapes "
                f"{' and '.join(map(str, sorted(shapes)))}: resample them first."
            )
        if len(shape) < self.spatial_dims:
            raise DataError(f"{name_of(self.reference, data)} is a single image: choose spatial_dims 2.")
        return [tuple(span) for span in data.get(self.roi_key) or [(0, n) for n in shape]]

    def _box_and_grid(self, region: Region) -> tuple[tuple[slice, ...], torch.Tensor]:
        """Return what to read, and where in it the voxels of the window lie, (*patch_size, dims) in voxels."""
        stacked = len(region) - self.spatial_dims
        axes = [torch.arange(n) - (n - 1) / 2 for n in self.patch_size]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        if self.bend:
            nodes = torch.from_numpy(self.bends).float()[None]
            places += F.interpolate(nodes, self.patch_size, mode=_LINEAR[self.spatial_dims], align_corners=True)[0]
        directions = torch.from_numpy(self.directions / self.drawn_zoom).float()
        # A centre of 0.5 is that of the first voxel, whose index is 0.
        centre = torch.tensor(self.centre[stacked:]).float() - 0.5
        places = torch.einsum("ij,j...->...i", directions, places) + centre
        more = self._coarser() - 1
        lows, highs = (ends.tolist() for ends in places.flatten(0, -2).aminmax(dim=0))
        box = [slice(int(at), int(at) + 1) for at in self.centre[:stacked]]
        for (start, stop), low, high in zip(region[stacked:], lows, highs, strict=True):
            first = min(max(math.floor(low) - more, start), stop - 1)
            box.append(slice(first, max(min(math.floor(high) + 2 + more, stop), first + 1)))
        return tuple(box), places - torch.tensor([part.start for part in box[stacked:]])


def sampled(x: torch.Tensor, places: torch.Tensor, nearest: bool, coarser: int = 1) -> torch.Tensor:
    """Return ``x`` (C, *spatial) at ``places`` (*size, dims), mirrored beyond its faces, in its own dtype.

    Args:
        x: greys or classes; integers are rounded after the interpolation.
        places: voxel indices along (z,) y, x, not necessarily whole.
        nearest: take the nearest voxel; otherwise interpolate linearly.
        coarser: interpolate between the means of so many voxels along each axis, where places are that far apart.
    """
    values = x[None].float()
    if coarser > 1 and not nearest:
        short = [-n % coarser for n in reversed(x.shape[1:])]
        values = F.pad(values, [width for n in short for width in (0, n)], mode="replicate")
        values = {2: F.avg_pool2d, 3: F.avg_pool3d}[places.shape[-1]](values, coarser)
        places = (places + 0.5) / coarser - 0.5
    sizes = torch.tensor(values.shape[2:])
    # torch wants the last axis first, and the faces of the image, half a voxel beyond the first and last, at -1 and 1.
    grid = ((2 * places + 1) / sizes - 1).flip(-1)
    values = F.grid_sample(values, grid[None], "nearest" if nearest else "bilinear", "reflection", align_corners=False)[
        0
    ]
    return values if x.is_floating_point() else values.round().to(x.dtype)


def _orthogonal(normal: np.ndarray) -> np.ndarray:
    """Return rotation and reflection, evenly distributed, made of a matrix of normal numbers.

    Mezzadri, How to generate random matrices from the classical compact groups, https://arxiv.org/abs/math-ph/0609050.
    """
    q, r = np.linalg.qr(normal)
    return q * np.sign(np.diag(r))
