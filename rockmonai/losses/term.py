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

    Example:
        >>> term = LossTerm("pixel", torch.nn.L1Loss(), weight=100)
        >>> term({"pred": torch.zeros(2), "label": torch.ones(2)})
        tensor(100.)
    """

    name: str
    loss: Callable[..., torch.Tensor]
    weight: float = 1.0
    between: Sequence[str] | None = None

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
            UsageError: when one of them is not there.
        """
        for key in self.compared:
            if key not in tensors:
                raise UsageError(
                    f"Loss '{self.name}' compares {' and '.join(self.compared)}, but there is no '{key}' among "
                    f"{', '.join(map(str, tensors))}{did_you_mean(key, map(str, tensors))}: mend its 'between'."
                )
        return self.weight * self.loss(*(tensors[key] for key in self.compared))
