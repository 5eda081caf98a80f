"""Running bundles inside the test's own process, as small as they go."""

from __future__ import annotations

from pathlib import Path

from monai.bundle import ConfigWorkflow

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
    """Return an initialised workflow of ``bundles/<bundle>/configs/<config>.json``, with overrides (``#`` as ``__``)."""
    names = [config] if isinstance(config, str) else config
    files = [str(BUNDLES / bundle / "configs" / f"{name}.json") for name in names]
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
