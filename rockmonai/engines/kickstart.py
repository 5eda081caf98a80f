"""The first iterations of a training between unpaired images, in which the way back may start from real ones."""

from __future__ import annotations

from typing import Any

import torch

from rockmonai.errors import UsageError


class Kickstart:
    """Draws, once in each iteration, whether the way back starts from real images.

    It is part of what a checkpoint holds: where a training is taken back, to its beginning, say, its iterations are
    counted from there again.

    Args:
        probability: of a yes; 0 for never.
        steps: iterations at the start of the training; after these the answer is no.

    Raises:
        UsageError: if ``probability`` is none.
    """

    def __init__(self, probability: float = 0.0, steps: int = 150) -> None:
        if not 0 <= probability <= 1:
            raise UsageError(f"kickstart is {probability}, but it is a probability: pass a number from 0 to 1.")
        self.probability = probability
        self.steps = steps
        self.step = 0

    def __call__(self) -> bool:
        """Return the answer for the next iteration."""
        self.step += 1
        return self.step <= self.steps and bool(torch.rand(()) < self.probability)

    def state_dict(self) -> dict[str, int]:
        """Return the number of iterations so far."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from this number of iterations."""
        self.step = state["step"]
