"""Checkpoint files that can be trusted: finite when written, whole when read."""

from __future__ import annotations

import io
import logging
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rockmonai.errors import ModelError, NumericalError, first_line
from rockmonai.volumes import atomic_write, sha256_of

logger = logging.getLogger("rockmonai")


def write_checkpoint(content: Mapping[str, Any], path: Path) -> None:
    """Write ``content`` so that ``path`` is, at any moment, absent, the old file or the new one.

    A sidecar ``<path>.sha256`` is written after the file; :func:`read_checkpoint` refuses a file that differs from it.

    Raises:
        NumericalError: if a tensor in ``content`` holds NaN or infinity; nothing is written.
        OutputError: if the disk is full or the folder cannot be written.
    """
    for name, tensor in _tensors(content):
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise NumericalError(f"{path.name} was not written, because '{name}' holds NaN or infinite values.")
    buffer = io.BytesIO()
    torch.save(content, buffer)
    # A new file must never stand beside the checksum of the old one, even if the process is killed in between.
    _sidecar(path).unlink(missing_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
        checksum = sha256_of(temporary)
    with atomic_write(_sidecar(path)) as temporary:
        temporary.write_text(f"{checksum}  {path.name}\n")


def read_checkpoint(path: Path, map_location: str | torch.device = "cpu") -> Any:
    """Return what :func:`write_checkpoint` wrote to ``path``.

    A file without a sidecar, as MONAI writes them, is read as it is. Only tensors and plain values are unpickled.

    Raises:
        ModelError: if the file is missing, differs from its checksum, or is no checkpoint.
    """
    if not path.is_file():
        found = sorted(p.name for p in path.parent.glob("*.pt"))
        there = f"the folder holds {', '.join(found)}" if found else "the folder holds no checkpoint; train first"
        raise ModelError(f"There is no checkpoint {path}: {there}.")
    sidecar = _sidecar(path)
    if sidecar.is_file() and sidecar.read_text().split()[0] != sha256_of(path):
        raise ModelError(f"{path} differs from its checksum in {sidecar.name}: the file is damaged; use another one.")
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be read as a checkpoint ({first_line(error)}): use another one, or train again."
        ) from error


def newest_checkpoint(folder: Path) -> tuple[Path, Any] | None:
    """Return the latest checkpoint of ``folder`` that is whole, and its content; None when there is none."""
    for path in sorted(folder.glob("checkpoint_*.pt"), reverse=True):
        # A kill between the two renames leaves a file without its sidecar: it was never announced as complete.
        if not _sidecar(path).is_file():
            continue
        try:
            return path, read_checkpoint(path)
        except ModelError as error:
            logger.warning("%s Falling back to the checkpoint before it.", error)
    return None


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint and its sidecar."""
    path.unlink(missing_ok=True)
    _sidecar(path).unlink(missing_ok=True)


def load_weights(network: nn.Module, weights: Mapping[str, torch.Tensor], source: str) -> None:
    """Load ``weights`` into ``network``, all of them or none.

    Raises:
        ModelError: if a tensor is missing, unknown or of another shape; the sentence shows the first one.
    """
    own = network.state_dict()
    differences = [
        f"'{name}' is {_shape(weights.get(name))} in the file and {_shape(own.get(name))} in the network"
        for name in {**own, **weights}
        if _shape(weights.get(name)) != _shape(own.get(name))
    ]
    if differences:
        raise ModelError(
            f"{source} belongs to another network: {len(differences)} of {len(own)} tensors differ, first "
            f"{differences[0]}; give the scale, spatial_dims and network_def that it was trained with."
        )
    network.load_state_dict(weights)


def _shape(tensor: torch.Tensor | None) -> str:
    return "absent" if tensor is None else str(tuple(tensor.shape))


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _tensors(content: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(content, torch.Tensor):
        yield name, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _tensors(value, f"{name}.{key}".lstrip("."))
    elif isinstance(content, (list, tuple)):
        for position, value in enumerate(content):
            yield from _tensors(value, f"{name}.{position}")
