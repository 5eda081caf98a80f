"""A pool of earlier predictions that the discriminator is shown again."""

from __future__ import annotations

import torch


class HistoryPool:
    """Shows the discriminator a mixture of new and earlier fakes, which damps oscillation of the two players.

    Each fake of a batch is, with probability 1/2, swapped for one that the pool holds. Source: Shrivastava et al.,
    "Learning from simulated and unsupervised images through adversarial training", arXiv:1612.07828.

    Args:
        size: number of fakes kept; 0 passes every batch through unchanged.
    """

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self.fakes: list[torch.Tensor] = []

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Return a batch of the same shape, some of its fakes replaced by earlier ones."""
        if not self.size:
            return batch
        # A MetaTensor with its history could not be read back from a checkpoint.
        return torch.stack([self._exchange(fake) for fake in batch.as_subclass(torch.Tensor)])

    def _exchange(self, fake: torch.Tensor) -> torch.Tensor:
        if len(self.fakes) < self.size:
            self.fakes.append(fake.clone())
            return fake
        if torch.rand(()) < 0.5:
            return fake
        place = int(torch.randint(self.size, ()))
        earlier, self.fakes[place] = self.fakes[place], fake.clone()
        return earlier.to(fake)

    def state_dict(self) -> dict:
        """Return the fakes that the pool holds."""
        return {"fakes": self.fakes}

    def load_state_dict(self, state: dict) -> None:
        """Take over the fakes of an earlier pool."""
        self.fakes = list(state["fakes"])
