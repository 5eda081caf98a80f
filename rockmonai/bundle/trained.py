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
