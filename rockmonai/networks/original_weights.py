"""Weights that other code of the same architecture has trained, under the names that our networks have for them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import torch
from torch import nn

from rockmonai.errors import ModelError

_ROLES = ("weight", "bias", "running_mean", "running_var")


def renamed_weights(weights: Mapping[str, Any], network: nn.Module) -> dict[str, torch.Tensor]:
    """Return ``weights`` as a state dict of ``network``, tensor by tensor in their order.

    Code descended from pix2pix (https://arxiv.org/abs/1611.07004) registers layers in the order in which they are
    applied and names them by their position, ``model.10.weight``; our networks register them in the same order under
    names of their own. Prefixes, such as that of ``torch.nn.DataParallel``, therefore do not matter. Batch norm's count
    of batches, which old files lack and our networks do not use, stays that of ``network``.

    Args:
        weights: a state dict in its original order, or a mapping that has one as ``"state_dict"``.
        network: what is to load them; it is not changed.

    Raises:
        ModelError: if number, role or shape of the tensors differ; the sentence shows the first difference.
    """
    own = _learnt(network.state_dict())
    given = _learnt(weights.get("state_dict", weights))
    for name, origin in zip_longest(own, given):
        expected, found = _described(own, name), _described(given, origin)
        if expected != found:
            raise ModelError(
                f"The weights belong to another network: they have {len(given)} tensors and this "
                f"{type(network).__name__} {len(own)}, which first differ where '{origin or name}' is {found} in the "
                f"file and '{name or origin}' is {expected} in the network; give the network_def that they were "
                "trained with."
            )
    matched = {name: given[origin].reshape(own[name].shape) for name, origin in zip(own, given, strict=True)}
    return network.state_dict() | matched


def _learnt(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    return {
        name: tensor
        for name, tensor in state.items()
        if isinstance(tensor, torch.Tensor) and not name.endswith("num_batches_tracked")
    }


def _described(state: Mapping[str, torch.Tensor], name: str | None) -> str:
    """Return the role and the shape of a tensor; one number alone is as good as a list of one."""
    if name is None:
        return "absent"
    role = name.rpartition(".")[2]
    return f"a {role if role in _ROLES else 'parameter'} of {tuple(torch.atleast_1d(state[name]).shape)}"
