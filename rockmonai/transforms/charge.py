"""Charging artefacts to learn from: the shape of real ones is painted white over intact parts of an image."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.transforms import Randomizable, Transform

from rockmonai.errors import DataError, NoWindow
from rockmonai.transforms.crop import RandPairedCropd
from rockmonai.transforms.opening import OpenVolumed


class RandTransplantCharged(Randomizable, Transform):
    """Gives an image the charging of another place: a random window of the charge mask of a random record.

    The window is as large as the image. Where the image is black nothing was scanned, and nothing is charged. A mask
    of its own that the record had is replaced.

    Args:
        data: records that lend their masks, a mapping of keys to paths (or volumes) each, such as those of the split.
        key: key of the masks, above 0 where a pixel is charged; the result is uint8, 1 where charged.
        label_key: key of the image (1, *spatial), in greys of which 0 is black.
        intact: the fraction of the image that is left, neither black nor charged, lies between these two. The default
            gives much to repair, and much to repair it by, but asks for masks with large charged areas.
        max_tries: windows to try before giving up.

    Raises:
        NoWindow: no mask with such a window was found in ``max_tries``.
    """

    def __init__(
        self,
        data: Sequence[Mapping[Hashable, Any]],
        key: str = "charge",
        label_key: str = "label",
        intact: tuple[float, float] = (0.25, 0.75),
        max_tries: int = 1000,
    ) -> None:
        self.data = data
        self.key = key
        self.label_key = label_key
        self.intact = intact
        self.max_tries = max_tries
        self.open = OpenVolumed(key)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with the mask (1, *spatial) of its new charging."""
        scanned = _above_zero(data[self.label_key])
        window = RandPairedCropd(self.key, scanned.shape[1:], scanned.ndim - 1, reference=self.key)
        window.set_random_state(state=self.R)
        low, high = self.intact
        found = []
        for _ in range(self.max_tries):
            self.randomize()
            charged = _above_zero(window(self.open(self.data[self.lender]))[self.key])
            found.append(float((scanned & ~charged).float().mean()))
            if low < found[-1] < high:
                return {**data, self.key: (scanned & charged).to(torch.uint8)}
        raise NoWindow(
            f"No window of '{self.key}' leaves {low:.0%} to {high:.0%} of {data.get('name', 'an image')} intact: "
            f"{self.max_tries} windows of {len(self.data)} masks left {min(found):.1%} to {max(found):.1%}; "
            "set other limits in 'intact'."
        )

    def randomize(self, data: None = None) -> None:
        """Draw which record lends its mask."""
        self.lender = int(self.R.randint(len(self.data)))


class PaintCharged(Transform):
    """Builds what a repair network sees: a guide, the charged image painted white, and where it is charged.

    The three are the channels of the result, each in [-1, 1]; the mask is 1 where charged and -1 elsewhere. The painted
    image is kept under a key of its own as well, to be shown and scored beside the prediction.

    Args:
        guide_key: key of the other modality (1, *spatial) in [-1, 1], which does not charge.
        image_key: key of the image (1, *spatial) in [-1, 1] that is or shall be charged.
        charge_key: key of its mask, above 0 where charged.
        output_key: key of the result (3, *spatial).
        painted_key: key of the painted image (1, *spatial).
        guided: False shows the network 0, the middle grey, for the guide, which tells what the guide is worth.

    Raises:
        DataError: image, mask and guide differ in shape.
    """

    def __init__(
        self,
        guide_key: str = "image",
        image_key: str = "label",
        charge_key: str = "charge",
        output_key: str = "image",
        painted_key: str = "damaged",
        guided: bool = True,
    ) -> None:
        self.guide_key = guide_key
        self.image_key = image_key
        self.charge_key = charge_key
        self.output_key = output_key
        self.painted_key = painted_key
        self.guided = guided

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the record with the network's input and the painted image."""
        charged = _above_zero(data[self.charge_key])
        painted = paint_charge(torch.as_tensor(data[self.image_key]), charged)
        guide = torch.as_tensor(data[self.guide_key]) if self.guided else torch.zeros_like(painted)
        if guide.shape != painted.shape:
            raise DataError(
                f"The guide has the shape {tuple(guide.shape)}, the charged image {tuple(painted.shape)}: resample one "
                "of them."
            )
        seen = torch.cat([guide, painted, 2 * charged.to(painted) - 1])
        return {**data, self.output_key: seen, self.painted_key: painted}


def paint_charge(image: torch.Tensor, charge: torch.Tensor) -> torch.Tensor:
    """Return ``image`` (1, *spatial) in [-1, 1] with its charged pixels white.

    Args:
        image: greys in [-1, 1].
        charge: mask of the same shape that is above 0 where a pixel is charged.

    Raises:
        DataError: for unequal shapes.
    """
    if image.shape != charge.shape:
        raise DataError(
            f"The charge mask has the shape {tuple(charge.shape)}, its image {tuple(image.shape)}: cut them together."
        )
    return torch.where(_above_zero(charge), 1.0, image)


def _above_zero(x: Any) -> torch.Tensor:
    """Return where ``x`` is above 0, for all dtypes: torch does not compare the unsigned 16-bit greys of a raw scan."""
    return torch.as_tensor(x).float() > 0
