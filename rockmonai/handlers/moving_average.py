"""A second network beside the one that learns: the moving average of its weights."""

from __future__ import annotations

import torch
from ignite.engine import Events
from monai.engines.workflow import Workflow
from torch import nn


class MovingAverage:
    """Keeps ``average`` at the exponential moving average of the weights and running statistics of ``network``.

    The last steps of a training on few images jump about the minimum; their mean lies in it (Polyak and Juditsky,
    https://doi.org/10.1137/0330046; Tarvainen and Valpola, https://arxiv.org/abs/1703.01780). In the first iterations
    of each phase the average follows quickly, so that it does not remember where the network began. It has no state of
    its own but the weights: a checkpoint that holds ``average`` and the iteration holds all of it.

    Args:
        network: the one that learns.
        average: another network of the same architecture, such as a deep copy.
        decay: what is kept of the average at each iteration; it looks back over about ``1 / (1 - decay)`` of them.
    """

    def __init__(self, network: nn.Module, average: nn.Module, decay: float = 0.995) -> None:
        self.network = network
        self.average = average.requires_grad_(False).eval()
        self.decay = decay

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, a trainer."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    @torch.no_grad()
    def __call__(self, engine: Workflow) -> None:
        """Move the average towards the network as it is now."""
        done = engine.state.iteration - getattr(engine, "phase_began", 0)
        share = 1 - min(self.decay, done / (done + 10))
        now = self.network.state_dict()
        for name, mean in self.average.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(now[name], share)
            else:
                mean.copy_(now[name])
