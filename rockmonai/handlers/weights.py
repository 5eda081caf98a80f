"""Gives a network its trained weights before an evaluation or an inference begins."""

from __future__ import annotations

from pathlib import Path

from ignite.engine import Events
from monai.engines.workflow import Workflow
from torch import nn

from rockmonai.handlers.checkpoint_file import load_weights, read_checkpoint


class LoadWeights:
    """Loads ``path`` into ``network`` when the engine starts; a checksum beside the file is verified.

    Args:
        network: what the weights belong to.
        path: a file of weights, as training leaves it in ``model.pt``.
    """

    def __init__(self, network: nn.Module, path: str) -> None:
        self.network = network
        self.path = Path(path)

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, an evaluator."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Workflow) -> None:
        """Load the weights.

        Raises:
            ModelError: if the file is missing, damaged, or belongs to another network.
        """
        load_weights(self.network, read_checkpoint(self.path), source=str(self.path))
