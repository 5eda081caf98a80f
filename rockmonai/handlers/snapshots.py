"""All that a training consists of, kept in memory to return to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from rockmonai.engines import CycleGANTrainer


def take_snapshot(engine: CycleGANTrainer) -> dict[str, Any]:
    """Return copies of the states of networks, optimisers and what else the trainer keeps, in the memory of the CPU.

    It is made of tensors and plain values only, so that it can travel with a checkpoint.
    """
    return {name: _copied(thing.state_dict()) for name, thing in _things(engine).items()}


def restore_snapshot(engine: CycleGANTrainer, snapshot: Mapping[str, Any]) -> None:
    """Bring ``engine`` back to ``snapshot``, which stays as it is and can be returned to again."""
    for name, thing in _things(engine).items():
        # Optimisers go on to write into the very tensors that they were given.
        thing.load_state_dict(_copied(snapshot[name]))


def _things(engine: CycleGANTrainer) -> dict[str, Any]:
    judges = {f"discriminator{game}": judge for game, judge in engine.discriminators.items()}
    networks = {"network": engine.network, "reverse_network": engine.reverse_network, **judges}
    return {**networks, "optimizer": engine.optimizer, "d_optimizer": engine.d_optimizer, **engine.state_objects()}


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return type(value)(map(_copied, value)) if isinstance(value, (list, tuple)) else value
