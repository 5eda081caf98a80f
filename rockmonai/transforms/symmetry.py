"""Flips and quarter turns that all keys of a record share: the symmetries of the square and of the cube."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform, RandomizableTransform
from monai.utils import TraceKeys


class Symmetry(NamedTuple):
    """New axis ``i`` is old axis ``axes[i]``, and is then reversed where ``flips[i]``; spatial axes count from 0."""

    axes: tuple[int, ...]
    flips: tuple[bool, ...]

    def inverse(self) -> Symmetry:
        """Return the symmetry that undoes this one."""
        axes = tuple(int(axis) for axis in np.argsort(self.axes))
        return Symmetry(axes, tuple(self.flips[axis] for axis in axes))


def symmetries(shapes: Sequence[Sequence[int]], flips_only: bool = False) -> list[Symmetry]:
    """Return every symmetry that leaves all spatial ``shapes`` as they are; the first changes nothing.

    Equal sides give the 8 symmetries of the square and the 48 of the cube; unequal sides keep their places.

    Args:
        shapes: spatial shapes with the same number of axes.
        flips_only: leave out the exchange of axes.
    """
    ndim = len(shapes[0])
    orders = [tuple(range(ndim))] if flips_only else list(itertools.permutations(range(ndim)))
    kept = [axes for axes in orders if all(tuple(shape[axis] for axis in axes) == tuple(shape) for shape in shapes)]
    return [Symmetry(axes, flips) for axes in kept for flips in itertools.product((False, True), repeat=ndim)]


def transformed(x: torch.Tensor, symmetry: Symmetry) -> torch.Tensor:
    """Return ``x`` (C, *spatial) of any dtype after ``symmetry``."""
    x = x.permute(0, *[axis + 1 for axis in symmetry.axes])
    for axis, flip in enumerate(symmetry.flips, start=1):
        if flip:
            # torch.flip does not know the unsigned 16-bit greys of a raw scan; an index does.
            x = x.index_select(axis, torch.arange(x.shape[axis] - 1, -1, -1, device=x.device))
    return x.contiguous()


class RandSymmetryd(RandomizableTransform, InvertibleTransform, MapTransform):
    """Flips and turns all keys alike by one random symmetry, whatever their sizes.

    The inverse needs the history that MetaTensors carry; plain tensors are transformed and leave no trace.

    Args:
        keys: keys of (C, *spatial) values.
        prob: probability of drawing a symmetry at all.
        flips_only: never exchange axes, for scans whose axes differ (a bedding plane, an anisotropic voxel).
        allow_missing_keys: leave out keys that a record does not have.
    """

    def __init__(
        self, keys: KeysCollection, prob: float = 1.0, flips_only: bool = False, allow_missing_keys: bool = False
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.flips_only = flips_only

    def randomize(self, data: Sequence[Sequence[int]]) -> None:
        """Draw a symmetry that leaves all the shapes in ``data`` as they are."""
        super().randomize(None)
        choices = symmetries(data, self.flips_only)
        self.symmetry = choices[self.R.randint(len(choices)) if self._do_transform else 0]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys turned."""
        turned = {**data, **{key: torch.as_tensor(data[key]) for key in self.key_iterator(data)}}
        self.randomize([turned[key].shape[1:] for key in self.key_iterator(turned)])
        for key in self.key_iterator(turned):
            turned[key] = self._apply(turned[key], self.symmetry)
        return turned

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Undo the symmetry that every key, a MetaTensor, remembers."""
        restored = dict(data)
        for key in self.key_iterator(restored):
            done = self.pop_transform(restored[key])[TraceKeys.EXTRA_INFO]
            symmetry = Symmetry(tuple(map(int, done["axes"])), tuple(map(bool, done["flips"])))
            with self.trace_transform(False):
                restored[key] = self._apply(restored[key], symmetry.inverse())
        return restored

    def _apply(self, x: torch.Tensor, symmetry: Symmetry) -> torch.Tensor:
        y = transformed(x, symmetry)
        if isinstance(y, MetaTensor):
            y = self.push_transform(y, affine=_affine(symmetry, y.shape[1:]), extra_info=symmetry._asdict())
        return y


def _affine(symmetry: Symmetry, shape: Sequence[int]) -> np.ndarray:
    """Return the matrix that leads from new voxel indices to old ones, for a result of spatial ``shape``."""
    affine = np.zeros((len(shape) + 1, len(shape) + 1))
    affine[-1, -1] = 1
    for new, (old, flip) in enumerate(zip(*symmetry, strict=True)):
        affine[old, new] = -1 if flip else 1
        affine[old, -1] = shape[new] - 1 if flip else 0
    return affine
