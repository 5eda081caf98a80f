"""Running bundles inside the test's own process, as small as they go."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import tifffile
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from torch import nn

from rockmonai.handlers import write_checkpoint

BUNDLES = Path(__file__).parents[2] / "bundles"

SHORT = {"patch_size": 24, "batch_size": 2, "epochs": 2, "warmup_epochs": 1, "epoch_length": 3, "val_patches": 2}
SMALL = {"width": 4, "blocks": 1, "levels": 2, "channels": 4}


def config_of(bundle: str, *names: str) -> dict:
    """Return the configs of a bundle, the later ones over the first."""
    return ConfigParser.load_config_files([str(BUNDLES / bundle / "configs" / f"{name}.json") for name in names])


def tiny_network(bundle: str = "srgan", overlay: str | None = None, **override) -> dict:
    """Return the overrides that make a bundle's network small, on the CPU, its scale 2 if it has one, 3D ones 2D."""
    config = config_of(bundle, "inference", *([overlay] if overlay else []))
    scale = {"scale": 2} if config.get("scale", 1) > 1 else {}
    flat = {"spatial_dims": 2} if config_of(bundle, "inference")["spatial_dims"] == 3 else {}
    return {"device": "cpu", **flat, **scale, **_small(config, "network_def")} | override


def tiny(bundle: str = "srgan", overlay: str | None = None) -> dict:
    """Return the overrides that make a bundle's training as small as it goes."""
    config = config_of(bundle, "train", *([overlay] if overlay else []))
    short = {key: value for key, value in SHORT.items() if key in config}
    others = _small(config, "discriminator_def") | _small(config, "reverse_network_def")
    return {**short, **tiny_network(bundle, overlay), **others}


def tiny_inference(bundle: str = "srgan", overlay: str | None = None) -> dict:
    """Return the overrides that make a bundle's inference small, its way back included, if it has one."""
    return tiny_network(bundle, overlay) | _small(config_of(bundle, "inference"), "reverse_network_def")


def tiny_evaluation(bundle: str, overlay: str | None = None) -> dict:
    """Return the overrides that make a bundle's evaluation small: one window an image, if it draws windows."""
    config = config_of(bundle, "evaluate")
    return {key: value for key, value in SHORT.items() if key in config} | tiny_network(bundle, overlay)


def inputs_of(bundle: str, dataset: Path, name: str = "rock0") -> dict[str, str]:
    """Return what a bundle's inference reads, from the folders of another data set than the one that it names."""
    return {"input_file": str(dataset / "test" / input_folder(bundle) / f"{name}.tif")}


def input_folder(bundle: str) -> str:
    """Return the folder of what a bundle's inference reads."""
    folder = re.search(r"'/test/(\w+)/", config_of(bundle, "inference")["input_file"])
    assert folder is not None
    return folder[1]


def _small(config: dict, key: str) -> dict:
    """Return the overrides of all sizes that the definition of a network, and of one inside it, names."""
    sizes = {}
    for name, value in config.get(key, {}).items():
        if isinstance(value, dict):
            sizes |= {f"{key}#{inner}": size for inner, size in _small(config[key], name).items()}
        elif name in SMALL:
            sizes[f"{key}#{name}"] = SMALL[name]
    return sizes


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
    overlay = (
        config[-1]
        if isinstance(config, list) and (BUNDLES / bundle / "configs" / f"{config[-1]}.json").exists()
        else None
    )
    folders = {"dataset_dir": str(dataset), "output_dir": str(output)}
    flow = workflow(bundle, config, "train", **{**tiny(bundle, overlay), **folders, **override})
    flow.run()
    return flow


def predict(
    scan: Path,
    output: Path,
    ckpt_dir: Path,
    config: str | list[str] = "inference",
    bundle: str = "srgan",
    **override,
) -> None:
    """Apply the network in ``ckpt_dir``, a tiny one unless overridden, to a scan."""
    files = {"input_file": str(scan), "output_file": str(output), "ckpt_dir": str(ckpt_dir)}
    tiny = {} if "network_def" in override else tiny_inference(bundle)
    workflow(bundle, config, "infer", **{"num_workers": 0} | tiny | files | override).run()


def write_model(folder: Path, bundle: str = "srgan", **override) -> nn.Module:
    """Write ``model.pt`` and return its network, whose random weights make every voxel of its reach count.

    Where inference has a way back, its weights are written to ``model_reverse.pt``.
    """
    parser = ConfigParser(config_of(bundle, "inference"))
    tiny = {} if "network_def" in override else tiny_inference(bundle)
    parser.update(tiny | {key.replace("__", "#"): value for key, value in override.items()})
    if "reverse_network_def" in parser.config:
        _write_random(parser.get_parsed_content("reverse_network_def"), folder / "model_reverse.pt")
    return _write_random(parser.get_parsed_content("network_def"), folder / "model.pt")


def _write_random(network: nn.Module, path: Path) -> nn.Module:
    """Write a network with random weights and return it."""
    generator = torch.Generator().manual_seed(0)
    for name, values in network.eval().state_dict().items():
        if values.ndim > 1:
            values.normal_(0, 0.7 / values[0].numel() ** 0.5, generator=generator)
        elif "running" in name:  # means on both sides of 0, or the rectifiers behind them would all be dead
            values.uniform_(*((-0.5, 0.5) if "mean" in name else (0.5, 1.0)), generator=generator)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(network.state_dict(), path)
    return network


def write_small_set(folder: Path, bundle: str = "srgan") -> Path:
    """Write a data set of tiny textured pairs for a bundle, x2 if it has a scale: 3 + 2 + 2 labels of 48x48.

    The right quarter of all masks is set: there are windows of 24x24 with much, little and nothing of it. Where labels
    are painted, they are numbers of classes.
    """
    rng = np.random.default_rng(0)
    config = config_of(bundle, "evaluate")
    finer = 2 if config.get("scale", 1) > 1 else 1
    folders = [*config["folders"].items(), *config.get("masks", {}).items()]
    if input_folder(bundle) not in dict(folders).values():
        folders.append(("image", input_folder(bundle)))
    for split, count in {"train": 3, "validation": 2, "test": 2}.items():
        for number in range(count):
            coarse = rng.integers(1, 255, (48 // finer, 48 // finer), dtype=np.uint8)
            fine = coarse.repeat(finer, 0).repeat(finer, 1)
            made = {"image": coarse, "label": fine % len(config["classes"]) if "paints" in config else fine}
            for key, name in folders:
                (folder / split / name).mkdir(parents=True, exist_ok=True)
                mask = np.repeat([[0, 1]], [36, 12], axis=1).repeat(48, 0).astype(np.uint8)
                tifffile.imwrite(folder / split / name / f"rock{number}.tif", made.get(key, mask))
    return folder
