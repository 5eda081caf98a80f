"""Rounds of shrinking and enlarging that take the detail out of an image but leave its size."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from rockmonai.transforms.resampling import gaussian_blur, resample


class Round(NamedTuple):
    """One shrinking and enlarging: by how much, with which kernels, whether the shrinking is anti-aliased.

    ``sigma`` is the standard deviation, in small voxels, of a gaussian blur of the small image.
    """

    factor: float
    down: str = "bicubic"
    up: str = "bicubic"
    antialias: bool = True
    sigma: float = 0.0


def multi_sample(x: torch.Tensor, rounds: Sequence[Round]) -> torch.Tensor:
    """Return ``x`` (C, *spatial) after every round in turn, at its own size again."""
    size = x.shape[1:]
    for factor, down, up, antialias, sigma in rounds:
        small = resample(x, [max(1, round(n / factor)) for n in size], down, antialias)
        x = resample(gaussian_blur(small, sigma), size, up)
    return x


class RandMultiSampled(RandomizableTransform, MapTransform):
    """Shrinks and enlarges a random number of times with random kernels, the same for all keys.

    Args:
        keys: keys of (C, *spatial) values.
        rounds: smallest and largest number of rounds.
        factor: smallest and largest factor of shrinking.
        kernels: the kernels to choose from, for each way of each round, see :func:`resample`.
        antialias: whether to suppress aliasing when shrinking, to choose from as well.
        sigma: smallest and largest standard deviation, in small voxels, of a gaussian blur of the small image.
        prob: probability of resampling at all.
        allow_missing_keys: leave out keys that a record does not have.
    """

    def __init__(
        self,
        keys: KeysCollection,
        rounds: tuple[int, int] = (1, 2),
        factor: tuple[float, float] = (1.5, 4.0),
        kernels: Sequence[str] = ("area", "bilinear", "bicubic", "nearest"),
        antialias: Sequence[bool] = (False, True),
        sigma: tuple[float, float] = (0.0, 0.0),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.rounds = rounds
        self.factor = factor
        self.kernels = kernels
        self.antialias = antialias
        self.sigma = sigma

    def randomize(self, data: None = None) -> None:
        """Draw whether to resample, and every round."""
        super().randomize(None)
        self.drawn = [self._draw_round() for _ in range(self.R.randint(self.rounds[0], self.rounds[1] + 1))]

    def _draw_round(self) -> Round:
        down, up = (self.kernels[self.R.randint(len(self.kernels))] for _ in range(2))
        factor = float(self.R.uniform(*self.factor))
        antialias = self.antialias[self.R.randint(len(self.antialias))]
        return Round(factor, down, up, antialias, sigma=float(self.R.uniform(*self.sigma)))

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Return the record with its keys resampled, as float32."""
        sampled = dict(data)
        self.randomize()
        if self._do_transform:
            for key in self.key_iterator(sampled):
                sampled[key] = multi_sample(torch.as_tensor(sampled[key], dtype=torch.float32), self.drawn)
        return sampled
