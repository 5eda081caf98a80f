"""One named, weighted term of what a generator minimises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from rockmonai.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class LossTerm:
    """A loss, the tensors it compares, and how much it counts.

    Args:
        name: under which it is logged.
        loss: any callable of tensors that returns a scalar, MONAI's, torch's or ours.
        weight: its factor; 0 switches the term off.
        between: keys of the tensors that ``loss`` is called with, in order; by default what the loss itself names as
            its ``between``, or else the prediction and the label.
        channels: numbers of the channels of these tensors, (B, C, ...), that are compared; by default all. A loss that
            differentiates by the image, as :class:`~rockmonai.losses.JacobianPenalty` does, needs all.
        warmup: whether it counts before the discriminator joins, too, in a training in two phases.

    Raises:
        RockError: whatever the ``check()`` of the loss raises, if it has one and the term counts: what it needs, such
            as a file, is missed before a training begins.

    Example:
        >>> term = LossTerm("pixel", torch.nn.L1Loss(), weight=100)
        >>> term({"pred": torch.zeros(2), "label": torch.ones(2)})
        tensor(100.)
    """

    name: str
    loss: Callable[..., torch.Tensor]
    weight: float = 1.0
    between: Sequence[str] | None = None
    channels: Sequence[int] | None = None
    warmup: bool = True

    def __post_init__(self) -> None:
        check = getattr(self.loss, "check", None)
        if self.active and check is not None:
            check()

    @property
    def compared(self) -> Sequence[str]:
        """Keys of the tensors that the loss is called with."""
        own: Sequence[str] = getattr(self.loss, "between", ("pred", "label"))
        return own if self.between is None else self.between

    @property
    def active(self) -> bool:
        """Whether the term counts at all."""
        return self.weight != 0

    @property
    def needs_input_gradient(self) -> bool:
        """Whether the network's input must require grad before the forward pass."""
        return "image" in self.compared

    def __call__(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return ``weight`` times the loss of the tensors named in ``between``.

        Raises:
            UsageError: when one of them is not there, or has not the ``channels``.
        """
        for key in self.compared:
            if key not in tensors:
                raise UsageError(
                    f"Loss '{self.name}' compares {' and '.join(self.compared)}, but there is no '{key}' among "
                    f"{', '.join(map(str, tensors))}{did_you_mean(key, map(str, tensors))}: mend its 'between'."
                )
        return self.weight * self.loss(*(self._selected(key, tensors[key]) for key in self.compared))

    def _selected(self, key: str, tensor: torch.Tensor) -> torch.Tensor:
        """Return the compared channels of a tensor."""
        if self.channels is None:
            return tensor
        if any(not 0 <= channel < tensor.shape[1] for channel in self.channels):
            raise UsageError(
                f"Loss '{self.name}' compares the channels {', '.join(map(str, self.channels))}, but '{key}' has "
                f"{tensor.shape[1]}, counted from 0: mend its 'channels'."
            )
        return tensor[:, list(self.channels)]
