"""Changes of grey scale that keep the geometry: standardising, stretching, gamma, contrast and CLAHE."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from skimage.exposure import equalize_adapthist

from rockmonai.errors import DataError
from rockmonai.transforms.intensity import scale_grey


def standardise(x: torch.Tensor, mean: float | None = None, std: float | None = None) -> torch.Tensor:
    """Return ``(x - mean) / std`` as float32; what is not given is taken from ``x``.

    Raises:
        DataError: all values are equal.
    """
    x = x.to(torch.float32)
    mean = float(x.mean()) if mean is None else mean
    std = float(x.std(correction=0)) if std is None else std
    if std == 0:
        raise DataError(f"An image whose values are all {mean:g} cannot be standardised: leave it out.")
    return (x - mean) / std


def central_range(x: torch.Tensor, low: float = 0.01, high: float = 0.99) -> tuple[float, float]:
    """Return the ``low`` and ``high`` quantile of the middle of ``x``, where a cylindrical sample fills the field.

    Args:
        x: greys (C, *spatial); of the last two axes only 20 to 80 per cent are looked at.
        low: smaller quantile, from 0 to 1.
        high: larger quantile, from 0 to 1.

    Raises:
        DataError: the two quantiles are equal.
    """
    rows, columns = (slice(int(0.2 * n), max(int(0.8 * n), 1)) for n in x.shape[-2:])
    lo, hi = np.quantile(x[..., rows, columns].numpy(force=True), (low, high))
    if lo == hi:
        raise DataError(f"The middle of the image holds nothing but the grey {lo:g}: there is nothing to stretch.")
    return float(lo), float(hi)


def gamma(x: torch.Tensor, exponent: float) -> torch.Tensor:
    """Return ``x`` in [-1, 1] with its brightness ``u = (x + 1) / 2`` raised to ``exponent``."""
    return 2 * ((x + 1) / 2).clamp(0, 1) ** exponent - 1


def contrast(x: torch.Tensor, factor: float) -> torch.Tensor:
    """Return ``x`` in [-1, 1] with its distance from its own mean multiplied by ``factor``, clipped to [-1, 1]."""
    mean = x.mean()
    return (mean + factor * (x - mean)).clamp(-1, 1)


def clahe(x: torch.Tensor, clip_limit: float = 0.01) -> torch.Tensor:
    """Return ``x`` after contrast-limited adaptive histogram equalisation with 8 tiles per axis, in [-1, 1].

    Each channel is stretched to its full range first. Zuiderveld, Graphics Gems IV (1994),
    https://doi.org/10.1016/B978-0-12-336156-1.50061-6.

    Args:
        x: values (C, *spatial) in [-1, 1].
        clip_limit: from 0 to 1; the larger, the stronger the contrast.
    """
    brightness = ((x + 1) / 2).clamp(0, 1).numpy(force=True)
    equalised = np.stack([equalize_adapthist(channel, clip_limit=clip_limit) for channel in brightness])
    return scale_grey(torch.from_numpy(equalised), 0, 1).to(x.device)


class Standardised(MapTransform):
    """Brings values to mean 0 and standard deviation 1.

    Args:
        keys: keys of (C, *spatial) values.
        mean: mean to subtract; ``None`` for that of what is there. Patches of one volume want the volume's own.
        std: standard deviation to divide by; ``None`` likewise.
        allow_missing_keys: leave out keys that a record does not have.
    """

    def __init__(
        self,
        keys: KeysCollection,
        mean: float | None = None,
        std: float | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mean = mean
        self.std = std

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys standardised, as float32."""
        d = {key: standardise(torch.as_tensor(data[key]), self.mean, self.std) for key in self.key_iterator(data)}
        return {**data, **d}


class QuantileStretchd(MapTransform):
    """Maps the 1 % and 99 % quantiles (or others) of the middle of each image to -1 and 1, and clips there.

    Args:
        keys: keys of (C, *spatial) greys of any dtype.
        low: smaller quantile, from 0 to 1.
        high: larger quantile, from 0 to 1.
        allow_missing_keys: leave out keys that a record does not have.
    """

    def __init__(
        self, keys: KeysCollection, low: float = 0.01, high: float = 0.99, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.low = low
        self.high = high

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys stretched, as float32."""
        stretched = dict(data)
        for key in self.key_iterator(stretched):
            x = torch.as_tensor(stretched[key])
            stretched[key] = scale_grey(x, *central_range(x, self.low, self.high)).clamp(-1, 1)
        return stretched


class Gammad(MapTransform):
    """Raises the brightness of keys in [-1, 1] to ``exponent``, see :func:`gamma`."""

    def __init__(self, keys: KeysCollection, exponent: float, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.exponent = exponent

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys changed."""
        return {**data, **{key: gamma(torch.as_tensor(data[key]), self.exponent) for key in self.key_iterator(data)}}


class Contrastd(MapTransform):
    """Multiplies the contrast of keys in [-1, 1] by ``factor``, see :func:`contrast`."""

    def __init__(self, keys: KeysCollection, factor: float, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.factor = factor

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys changed."""
        return {**data, **{key: contrast(torch.as_tensor(data[key]), self.factor) for key in self.key_iterator(data)}}


class CLAHEd(MapTransform):
    """Equalises the local contrast of keys in [-1, 1], see :func:`clahe`."""

    def __init__(self, keys: KeysCollection, clip_limit: float = 0.01, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.clip_limit = clip_limit

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with its keys equalised, as float32."""
        return {**data, **{key: clahe(torch.as_tensor(data[key]), self.clip_limit) for key in self.key_iterator(data)}}
