"""Who learns when an ensemble is trained: its members first, then the network that stacks them."""

from __future__ import annotations

from collections.abc import Sequence

from ignite.engine import Events

from rockmonai.engines import GANTrainer
from rockmonai.networks import StackedUNets


class Stacking:
    """Lets the members of an ensemble learn in the warm-up of a training, and its stacking network from then on.

    Which of the two learns follows from the number of the epoch, so that a resumed run goes on where it was.

    Args:
        networks: the ensemble, and the moving average of it if there is one.
    """

    def __init__(self, networks: Sequence[StackedUNets]) -> None:
        self.networks = networks

    def attach(self, engine: GANTrainer) -> None:
        """Follow ``engine``, a :class:`rockmonai.engines.GANTrainer`."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: GANTrainer) -> None:
        """Choose who learns in this epoch."""
        for network in self.networks:
            network.stack(engine.phase != "warmup")
