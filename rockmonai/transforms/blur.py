"""What the optics and the motion of a scanner do to an image: gaussian, box, median and motion blur."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import ensure_tuple
from scipy.ndimage import median_filter

from rockmonai.transforms.resampling import apply_along_axes, box_matrix, gaussian_blur, shift_matrix

BLURS = ("gaussian", "box", "median", "motion")


def blur(x: torch.Tensor, kind: str, sigma: float, direction: Sequence[float] | None = None) -> torch.Tensor:
    """Return ``x`` blurred; ``sigma`` means the same width for every kind. The image is mirrored at its faces.

    A box, median or motion window is the odd number of voxels whose standard deviation is nearest to ``sigma``:
    ``sigma = 0.8`` is 3 voxels, ``1.4`` is 5, ``2`` is 7. In a volume the median costs a hundred times the others.

    Args:
        x: floating-point values (C, *spatial).
        kind: ``gaussian``, ``box``, ``median`` or ``motion``.
        sigma: standard deviation of the blur in voxels; 0 changes nothing.
        direction: for ``motion`` the line of movement as a vector over the spatial axes, of any length but zero;
            ``None`` moves along the last axis.

    Raises:
        ValueError: an unknown kind.
    """
    shape = x.shape[1:]
    width = _window(sigma)
    if kind == "gaussian":
        return gaussian_blur(x, sigma)
    if kind == "box":
        return apply_along_axes(x, [box_matrix(n, width) for n in shape])
    if kind == "median":
        filtered = median_filter(x.numpy(force=True), size=(1, *[width] * len(shape)), mode="reflect")
        return torch.from_numpy(filtered).to(x)
    if kind == "motion":
        line = np.eye(len(shape))[-1] if direction is None else np.asarray(direction) / np.linalg.norm(direction)
        steps = np.arange(width) - width // 2
        moved = [apply_along_axes(x, [shift_matrix(n, s) for n, s in zip(shape, s * line, strict=True)]) for s in steps]
        return torch.stack(moved).mean(0)
    raise ValueError(f"kind must be one of {', '.join(BLURS)}, not {kind!r}.")


def _window(sigma: float) -> int:
    """Return the odd width whose uniform weights, of variance (width² - 1) / 12, have about this ``sigma``."""
    return 2 * round((math.sqrt(12 * sigma**2 + 1) - 1) / 2) + 1


class RandBlurd(RandomizableTransform, MapTransform):
    """Blurs with a random kind, width and direction of movement, the same for all keys.

    Args:
        keys: keys of (C, *spatial) values.
        kinds: the kinds to choose from, see :func:`blur`.
        sigma: smallest and largest standard deviation in voxels.
        prob: probability of blurring at all.
        allow_missing_keys: leave out keys that a record does not have.
    """

    def __init__(
        self,
        keys: KeysCollection,
        kinds: Sequence[str] | str = BLURS,
        sigma: tuple[float, float] = (0.5, 1.5),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.kinds = ensure_tuple(kinds)
        self.sigma = sigma

    def randomize(self, data: None = None) -> None:
        """Draw whether to blur, the kind, the width and the direction."""
        super().randomize(None)
        self.kind = self.kinds[self.R.randint(len(self.kinds))]
        self.drawn_sigma = float(self.R.uniform(*self.sigma))
        self.direction = self.R.standard_normal(3).tolist()

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Return the record with its keys blurred, as float32."""
        blurred = dict(data)
        self.randomize()
        if self._do_transform:
            for key in self.key_iterator(blurred):
                x = torch.as_tensor(blurred[key], dtype=torch.float32)
                blurred[key] = blur(x, self.kind, self.drawn_sigma, self.direction[: x.ndim - 1])
        return blurred
