"""Refuses values that no bundle could run with, before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from rockmonai.errors import UsageError, first_line

COUNTS = ("batch_size", "epoch_length", "epochs", "scale", "val_interval", "val_patches")
AMOUNTS = ("num_workers", "warmup_epochs")


def check_values(config: Mapping[str, Any]) -> None:
    """Check the values that all bundles have in common; what is built by the config itself is left to it.

    Args:
        config: a merged MONAI bundle config.

    Raises:
        UsageError: for a count that is no positive whole number, or a device that is not there.
    """
    for key in (*COUNTS, *AMOUNTS):
        value, least = config.get(key, 1), int(key in COUNTS)
        if not _is_built(value) and (type(value) is not int or value < least):
            raise UsageError(f"{key} is {value!r}; it must be a whole number of {least} or more.")
    if config.get("spatial_dims", 2) not in (2, 3):
        raise UsageError(f"spatial_dims is {config['spatial_dims']!r}; it must be 2 or 3.")
    scale, patch_size = config.get("scale", 1), config.get("patch_size")
    sizes = patch_size if isinstance(patch_size, list) else [patch_size]
    if type(scale) is int and any(type(size) is int and (size < 1 or size % scale) for size in sizes):
        raise UsageError(f"patch_size is {patch_size}; pass a multiple of the scale {scale}, such as {24 * scale}.")
    device = config.get("device", "cpu")
    if isinstance(device, str) and not _is_built(device):
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(
                f"The device '{device}' is not there ({first_line(error)}); use cpu, cuda or cuda:1."
            ) from error


def _is_built(value: Any) -> bool:
    """Tell whether a value is a component, a reference or an expression."""
    return isinstance(value, dict) or (isinstance(value, str) and value.startswith(("@", "$", "%")))
