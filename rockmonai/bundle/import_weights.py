"""A file of weights that other code has trained, made the model of a bundle."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from rockmonai.errors import ModelError
from rockmonai.handlers.checkpoint_file import load_weights, read_checkpoint, write_checkpoint
from rockmonai.networks import renamed_weights
from rockmonai.volumes import make_writable
from rockmonai.volumes.publish import refuse_existing

logger = logging.getLogger("rockmonai")


def import_weights(configs: Sequence[Path], weights: Path, overwrite: bool = False, **override: Any) -> Path:
    """Write the weights that the original code of TXM2SEM, Paw-Net or pix2pix has saved as a bundle's ``model.pt``.

    Args:
        configs: ``inference.json`` of the bundle and the configs merged over it; they build the network.
        weights: a file with a state dict, such as ``latest_net_G.pth``; tensors and plain values alone are unpickled.
        overwrite: replace a ``model.pt`` that is there.
        **override: values for keys of the config, such as ``{"network_def#blocks": 9, "ckpt_dir": "runs/original"}``.

    Returns:
        The file, in the ``ckpt_dir`` of the config, with its checksum beside it.

    Raises:
        ModelError: the weights are missing, damaged, or those of another network.
        OutputError: there is a ``model.pt`` already, or the folder cannot be written.
    """
    parser = ConfigParser(ConfigParser.load_config_files([str(config) for config in configs]))
    parser.update({"bundle_root": str(configs[0].parents[1]), **override})
    model = Path(parser.get_parsed_content("ckpt_dir")) / "model.pt"
    refuse_existing(model, overwrite)
    network = parser.get_parsed_content("network_def")
    if not weights.is_file():
        raise ModelError(f"There is no file {weights}; give the weights that the original code has saved.")
    taken = renamed_weights(read_checkpoint(weights), network)
    load_weights(network, taken, str(weights))
    make_writable(model.parent, "choose another --ckpt_dir")
    write_checkpoint(network.state_dict(), model)
    tensors = [values for name, values in taken.items() if not name.endswith("num_batches_tracked")]
    parameters = sum(values.numel() for values in network.parameters())
    logger.info("%s: %d tensors, %d parameters taken; wrote %s", weights, len(tensors), parameters, model)
    return model
