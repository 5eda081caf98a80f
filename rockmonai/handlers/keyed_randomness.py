"""Makes a training a function of its seed, however often it is interrupted."""

from __future__ import annotations

from ignite.engine import Events
from monai.engines.workflow import Workflow

from rockmonai.data.keyed import seed_torch


class KeyedRandomness:
    """Keys the randomness of every iteration by (seed, iteration, rank) and the patches by where the run stands.

    Dropout, penalties and pools draw from torch's generators, which are seeded anew before each iteration; a
    :class:`rockmonai.data.PatchLoader` is set to the iteration at which the run starts or resumes. Together with
    :class:`rockmonai.handlers.Checkpoints` a resumed run equals an uninterrupted one bit for bit.

    Args:
        seed: the run's seed.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._place_loader)
        engine.add_event_handler(Events.ITERATION_STARTED, self._seed_iteration)

    def _place_loader(self, engine: Workflow) -> None:
        # Ignite asks the loader for its iterator once, just after the first epoch has started.
        if hasattr(engine.data_loader, "start_at"):
            engine.data_loader.start_at(engine.state.iteration)

    def _seed_iteration(self, engine: Workflow) -> None:
        seed_torch(self.seed, engine.state.iteration, engine.state.rank)
