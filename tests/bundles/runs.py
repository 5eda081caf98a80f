"""Running bundles inside the test's own process, as small as they go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from torch import nn

from rockmonai.handlers import write_checkpoint

BUNDLES = Path(__file__).parents[2] / "bundles"

TINY = {
    "patch_size": 24,
    "batch_size": 2,
    "epochs": 2,
    "warmup_epochs": 1,
    "epoch_length": 3,
    "val_patches": 2,
    "device": "cpu",
    "scale": 2,
    "network_def#width": 4,
    "network_def#blocks": 1,
    "discriminator_def#channels": 4,
}


def workflow(bundle: str, config: str | list[str], workflow_type: str, **override) -> ConfigWorkflow:
    """Return an initialised workflow of a bundle's config, with overrides in which ``__`` stands for ``#``."""
    names = [config] if isinstance(config, str) else config
    files = [name if name.endswith(".json") else str(BUNDLES / bundle / "configs" / f"{name}.json") for name in names]
    override = {key.replace("__", "#"): value for key, value in override.items()}
    flow = ConfigWorkflow(files, workflow_type=workflow_type, logging_file=False, **override)
    flow.initialize()
    return flow


def train(bundle: str, dataset: Path, output: Path, config: str | list[str] = "train", **override) -> ConfigWorkflow:
    """Train for an instant and return the workflow."""
    flow = workflow(
        bundle, config, "train", **{**TINY, "dataset_dir": str(dataset), "output_dir": str(output), **override}
    )
    flow.run()
    return flow


def tiny_network(**override) -> dict:
    """Return the overrides that make evaluation and inference build the network of :func:`train`."""
    return {key: TINY[key] for key in ("device", "scale", "network_def#width", "network_def#blocks")} | override


def predict(scan: Path, output: Path, ckpt_dir: Path, config: str | list[str] = "inference", **override) -> None:
    """Apply the network in ``ckpt_dir``, a tiny one unless overridden, to a scan."""
    files = {"input_file": str(scan), "output_file": str(output), "ckpt_dir": str(ckpt_dir)}
    tiny = {} if "network_def" in override else tiny_network()
    workflow("srgan", config, "infer", **{"num_workers": 0} | tiny | files | override).run()


def write_model(folder: Path, **override) -> nn.Module:
    """Write ``model.pt`` and return its network, whose random weights make every voxel of its reach count."""
    parser = ConfigParser(ConfigParser.load_config_file(str(BUNDLES / "srgan" / "configs" / "inference.json")))
    tiny = {} if "network_def" in override else tiny_network()
    parser.update(tiny | {key.replace("__", "#"): value for key, value in override.items()})
    network = parser.get_parsed_content("network_def").eval()
    generator = torch.Generator().manual_seed(0)
    for name, values in network.state_dict().items():
        if values.ndim > 1:
            values.normal_(0, 0.7 / values[0].numel() ** 0.5, generator=generator)
        elif "running" in name:
            values.uniform_(0.5, 1.0, generator=generator)
    folder.mkdir(parents=True, exist_ok=True)
    write_checkpoint(network.state_dict(), folder / "model.pt")
    return network


def write_small_set(folder: Path) -> Path:
    """Write a data set of tiny textured pairs, x2: 3 + 2 + 2 images of 48x48."""
    rng = np.random.default_rng(0)
    for split, count in {"train": 3, "validation": 2, "test": 2}.items():
        for modality in ("image", "label"):
            (folder / split / modality).mkdir(parents=True)
        for number in range(count):
            coarse = rng.integers(0, 255, (24, 24), dtype=np.uint8)
            tifffile.imwrite(folder / split / "image" / f"rock{number}.tif", coarse)
            tifffile.imwrite(folder / split / "label" / f"rock{number}.tif", coarse.repeat(2, 0).repeat(2, 1))
    return folder
