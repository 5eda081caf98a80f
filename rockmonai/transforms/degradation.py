"""How a good scan becomes a poor one: blur, noise, resampling and grey changes put together under one name."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import Lambdad, MapTransform, Randomizable, Transform

from rockmonai.errors import UsageError, did_you_mean
from rockmonai.transforms.blur import RandBlurd
from rockmonai.transforms.class_grey import ClassGreyd, RandClassGreyd
from rockmonai.transforms.decimation import Decimated, needs_degrading
from rockmonai.transforms.multisampling import RandMultiSampled, Round, multi_sample
from rockmonai.transforms.noise import RandNoised

_SEMSR_GAIN = (1.0, 1.17, 0.7, 1.0)


class Degraded(Randomizable, MapTransform):
    """Makes the low-resolution side of a pair from the high-resolution one, in the manner of a named preset.

    * ``area``: the mean of the voxels that become one;
    * ``bicubic``: anti-aliased bicubic decimation;
    * ``nearest``: one voxel of those that become one, without anti-aliasing;
    * ``scan``: a random scanner: blur, noise and rounds of resampling, then ``area``;
    * ``semsr``: bicubic shrinking, a gaussian blur of 1.2 small voxels, bicubic enlarging, brightness times 1.0, 1.17
      and 0.7 for pore, smooth and rough solid (0, 1, 2 of the class map; 3, bright mineral, stays), then ``nearest``.
      These numbers were read off a published figure and are good to about ten per cent;
    * ``semsr_random``: ``semsr`` with numbers drawn around those, for a network that shall not rely on an estimate:
      shrinking by half to one and a half times ``scale``, 0.8 to 1.6 small voxels, gains ten per cent up or down, and
      before ``nearest`` noise of up to three per cent of the grey range. These limits are our choice.

    A key that has the low-resolution size already is a measured image and stays as it is, so that one config serves
    given pairs and high-resolution scans alone; with ``scale`` 1 that is every key. For a chain of your own use the
    parts: :class:`RandBlurd`, :class:`RandNoised`, :class:`RandMultiSampled`, :class:`ClassGreyd`,
    :class:`RandClassGreyd`, :class:`Decimated`.

    Args:
        keys: keys of (C, *spatial) values in [-1, 1], as large as ``like`` or 1/``scale`` of it.
        scale: integer factor per axis.
        preset: one of the names above.
        like: key of the high-resolution side.
        semantic_key: key of the class codes (1, *spatial) as large as ``like``; only ``semsr`` and
            ``semsr_random`` need it.
        allow_missing_keys: leave out keys that a record does not have.

    Raises:
        UsageError: an unknown preset.
        DataError: a size that fits neither side, or a class map that is missing or does not fit.
    """

    def __init__(
        self,
        keys: KeysCollection,
        scale: int,
        preset: str = "area",
        like: str = "label",
        semantic_key: str = "semantic",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.scale = scale
        self.like = like
        self.steps = _steps(preset, self.keys, scale, like, semantic_key)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> Degraded:
        """Make the next draws depend on ``seed`` or ``state`` alone."""
        super().set_random_state(seed, state)
        for step in self.steps:
            if isinstance(step, Randomizable):
                step.set_random_state(seed=int(self.R.randint(2**31)))
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys at low resolution."""
        like_shape = data[self.like].shape
        sizes = {key: data[key].shape for key in self.key_iterator(data)}
        measured = {key for key, shape in sizes.items() if not needs_degrading(key, shape, like_shape, self.scale)}
        degraded = {key: value for key, value in data.items() if key not in measured}
        for step in self.steps:
            degraded = step(degraded)
        return {**data, **degraded}


def _steps(preset: str, keys: KeysCollection, scale: int, like: str, semantic_key: str) -> list[Transform]:
    """Return the transforms of ``preset``, all of which pass over a key that is not there."""
    each: dict[str, Any] = {"keys": keys, "allow_missing_keys": True}
    decimated = partial(Decimated, scale=scale, like=like, **each)
    presets: dict[str, list[Transform]] = {
        "area": [decimated(kernel="area")],
        "bicubic": [decimated(kernel="bicubic")],
        "nearest": [decimated(kernel="nearest")],
        "scan": [
            RandBlurd(kinds=("gaussian", "box", "motion"), sigma=(0.2 * scale, 0.5 * scale), **each),
            RandNoised(level=(0.01, 0.05), **each),
            RandMultiSampled(rounds=(0, 2), factor=(1.0, scale), **each),
            decimated(kernel="area"),
        ],
        "semsr": [
            Lambdad(func=partial(multi_sample, rounds=[Round(scale, sigma=1.2)]), track_meta=False, **each),
            ClassGreyd(gain=_SEMSR_GAIN, semantic_key=semantic_key, **each),
            decimated(kernel="nearest"),
        ],
        "semsr_random": [
            RandMultiSampled(
                rounds=(1, 1),
                factor=(0.5 * scale, 1.5 * scale),
                kernels=["bicubic"],
                antialias=[True],
                sigma=(0.8, 1.6),
                **each,
            ),
            RandClassGreyd(gain=[(0.9 * gain, 1.1 * gain) for gain in _SEMSR_GAIN], semantic_key=semantic_key, **each),
            RandNoised(level=(0.001, 0.03), **each),
            decimated(kernel="nearest"),
        ],
    }
    if preset not in presets:
        raise UsageError(
            f"There is no degradation '{preset}'{did_you_mean(preset, presets)}: choose one of {', '.join(presets)}."
        )
    return presets[preset]
