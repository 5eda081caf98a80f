"""What a detector adds to an image: gaussian, Poisson and speckle noise."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import ensure_tuple

NOISES = ("gaussian", "poisson", "speckle")


def noise(x: torch.Tensor, kind: str, level: float, generator: np.random.Generator) -> torch.Tensor:
    """Return ``x`` with noise, clipped to [-1, 1] as a detector saturates.

    With the brightness ``u = (x + 1) / 2`` the standard deviation, as a fraction of the grey range, is ``level`` for
    gaussian, ``level * sqrt(u)`` for Poisson (white is ``level**-2`` counts) and ``level * u`` for speckle noise: where
    the image is white, all kinds are equally strong.

    Args:
        x: values (C, *spatial) in [-1, 1].
        kind: ``gaussian``, ``poisson`` or ``speckle``.
        level: standard deviation of a white voxel as a fraction of the grey range; 0 changes nothing.
        generator: where the random numbers come from; equal generators give equal noise.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in NOISES:
        raise ValueError(f"kind must be one of {', '.join(NOISES)}, not {kind!r}.")
    if level == 0:
        return x
    brightness = ((x + 1) / 2).clamp(0, 1)
    if kind == "poisson":
        counts = generator.poisson(brightness.numpy(force=True) / level**2)
        noisy = torch.from_numpy(counts).to(x) * level**2
    else:
        normal = torch.from_numpy(generator.standard_normal(x.shape, dtype=np.float32)).to(x)
        noisy = brightness + level * normal * (brightness if kind == "speckle" else 1)
    return (2 * noisy - 1).clamp(-1, 1)


class RandNoised(RandomizableTransform, MapTransform):
    """Adds noise of a random kind and level, drawn once for all keys; every key gets its own realisation.

    Args:
        keys: keys of (C, *spatial) values in [-1, 1].
        kinds: the kinds to choose from, see :func:`noise`.
        level: smallest and largest standard deviation of a white voxel as a fraction of the grey range.
        prob: probability of adding noise at all.
        allow_missing_keys: leave out keys that a record does not have.
    """

    def __init__(
        self,
        keys: KeysCollection,
        kinds: Sequence[str] | str = NOISES,
        level: tuple[float, float] = (0.01, 0.05),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.kinds = ensure_tuple(kinds)
        self.level = level

    def randomize(self, data: None = None) -> None:
        """Draw whether to add noise, its kind, its level and the seed of its realisations."""
        super().randomize(None)
        self.kind = self.kinds[self.R.randint(len(self.kinds))]
        self.drawn_level = float(self.R.uniform(*self.level))
        self.seed = int(self.R.randint(2**31))

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Return the record with its keys noisy, as float32."""
        noisy = dict(data)
        self.randomize()
        if self._do_transform:
            generator = np.random.default_rng(self.seed)
            for key in self.key_iterator(noisy):
                x = torch.as_tensor(noisy[key], dtype=torch.float32)
                noisy[key] = noise(x, self.kind, self.drawn_level, generator)
        return noisy
