"""Networks that have learnt something: an architecture and the file of its weights."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from rockmonai.handlers.checkpoint_file import load_weights, read_checkpoint


def trained(network: nn.Module, path: str) -> nn.Module:
    """Return ``network`` with the weights of a file, in evaluation mode; a checksum beside the file is verified.

    Args:
        network: what the weights belong to; it is changed in place.
        path: a file of weights, as training leaves it in ``model.pt``.

    Raises:
        ModelError: if the file is missing, damaged, or belongs to another network.
    """
    load_weights(network, read_checkpoint(Path(path)), source=path)
    return network.eval()


def started(network: nn.Module, path: str | None = None) -> nn.Module:
    """Return ``network`` as a training is to begin with it: with the weights of an earlier one, if there is one.

    Args:
        network: what is to learn; it is changed in place.
        path: a file of weights of the same architecture, as training leaves it in ``model.pt``; None keeps those that
            the network has.

    Raises:
        ModelError: if the file is missing, damaged, or belongs to another network.
    """
    return network if path is None else trained(network, path).train()
