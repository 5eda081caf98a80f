"""Who learns when an ensemble is trained: its members first, then the network that stacks them."""

from __future__ import annotations

from ignite.engine import Events

from rockmonai.engines import GANTrainer
from rockmonai.networks import StackedUNets


class Stacking:
    """Lets the members of an ensemble learn in the warm-up of a training, and its stacking network from then on.

    When the stacking network begins, the members become their own moving averages, which it is to be applied with.
    Who learns follows from the number of the epoch, so that a resumed run goes on where it was. In a training that is
    all warm-up the stacking network never learns.

    Args:
        network: the ensemble.
        average: its moving average.
    """

    def __init__(self, network: StackedUNets, average: StackedUNets) -> None:
        self.network = network
        self.average = average

    def attach(self, engine: GANTrainer) -> None:
        """Follow ``engine``, a :class:`rockmonai.engines.GANTrainer`."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: GANTrainer) -> None:
        """Choose who learns in this epoch."""
        stacking = engine.state.epoch > engine.warmup_epochs
        if stacking and 0 < engine.state.iteration == engine.phase_began:
            self.network.binary.load_state_dict(self.average.binary.state_dict())
            self.network.multi.load_state_dict(self.average.multi.state_dict())
        for network in (self.network, self.average):
            network.stack(stacking)
