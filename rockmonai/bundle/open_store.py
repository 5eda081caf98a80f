"""The output of an inference: opened, resumed or refused before any work, with its cost told."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as dist

from rockmonai.bundle.claim import FREE_TO_CHANGE
from rockmonai.bundle.export import check_described
from rockmonai.bundle.running import running_workflow
from rockmonai.data.scan import Scan
from rockmonai.errors import OutputError, UsageError
from rockmonai.inferers.tiling import Tiling
from rockmonai.volumes import BlockStore, sha256_of
from rockmonai.volumes.blocks import in_words

logger = logging.getLogger("rockmonai")

# What else an inference that is resumed may change, beside the names of its files: scan and weights are compared by
# their content, the blocks as they are, however they came about.
_COMPARED_OTHERWISE = ("ckpt_path", "dataset_dir", "block_size", "halo")

# What may stand beside another output, and how many bytes a voxel has; None for greys as the scan has them.
_BESIDE = {"uncertainty": 1, "colours": 3, "cycle error": None}


def open_store(
    output_file: str | None,
    scan: Scan,
    tiling: Tiling,
    weights: str,
    dtype: str | None = None,
    overwrite: bool = False,
    classes: bool = False,
    beside: str | None = None,
) -> BlockStore | None:
    """Return the store that the blocks of ``scan`` are written to, and print what is about to be done.

    Args:
        output_file: the final name; its suffix chooses the format. None for a store that is not wanted.
        scan: what is read.
        tiling: its blocks.
        weights: file of the network's weights; a run that was begun with others is not continued.
        dtype: of the output; None for bytes beside a map of classes, else for that of the scan.
        overwrite: replace an existing output, and forget an unfinished one.
        classes: the network tells a logit for each class, and the output holds the number of the greatest.
        beside: what the output holds beside another one: ``"uncertainty"`` or ``"colours"`` of classes, or the
            ``"cycle error"`` of a prediction.

    Raises:
        UsageError: ``beside`` is none of these.
        OutputError: the output exists, is being written by another process, or cannot be.
        ModelError: an unfinished output was begun with another scan, other weights or another config.
    """
    if output_file is None:
        return None
    if beside is not None and beside not in _BESIDE:
        raise UsageError(f"beside is {beside!r}; use {' or '.join(map(repr, _BESIDE))}.")
    bytes_a_voxel = _BESIDE.get(beside or "")
    workflow = running_workflow()
    config: dict[str, Any] = {} if workflow is None else workflow.parser.get()
    if workflow is not None and beside is None:
        check_described(Path(workflow.config_root_path) / "metadata.json", tiling.footprint)
    if Path(output_file).resolve() in {Path(path.partition("::")[0]).resolve() for path in scan.paths}:
        raise OutputError(f"{output_file} is what is to be read: choose another --output_file.")
    free = {*FREE_TO_CHANGE, *_COMPARED_OTHERWISE, *(key for key in config if key.endswith("_file"))}
    spacing = scan.spacing and tuple(size / factor for size, factor in zip(scan.spacing, tiling.scale, strict=True))
    rank = dist.get_rank() if dist.is_initialized() else 0
    if rank > 0:
        dist.barrier()
    store = BlockStore(
        output_file,
        (1 if classes else bytes_a_voxel or tiling.footprint.channels, *tiling.output_shape),
        np.dtype(dtype or ("uint8" if bytes_a_voxel else scan.dtype)),
        spacing,
        [min(n * s, whole) for n, s, whole in zip(tiling.size, tiling.scale, tiling.output_shape, strict=True)],
        {
            "input": scan.fingerprint,
            "weights": sha256_of(weights),
            "config": json.loads(json.dumps({k: v for k, v in config.items() if k not in free}, default=str)),
            "blocks": {"size": tiling.size, "halo": tiling.halo},
        },
        overwrite,
        rank,
        classes,
        colour=beside == "colours",
        names=scan.slices if tiling.scale[0] == 1 else None,
    )
    if rank == 0:
        if beside is None:
            _tell(store, scan, tiling, spacing)
        else:
            _tell_beside(store, beside, len(tiling.blocks))
        if dist.is_initialized():
            dist.barrier()
    return store


def _tell(store: BlockStore, scan: Scan, tiling: Tiling, spacing: Sequence[float] | None) -> None:
    left, voxel = len(tiling.blocks) - len(store.done), ""
    if spacing:
        voxel = f", voxels of {' x '.join(f'{size:.4g}' for size in spacing)} µm"
    layers = "an unknown amount" if tiling.bytes_at_once is None else f"about {_bytes(tiling.bytes_at_once)}"
    free = _bytes(shutil.disk_usage(store.path.parent).free)
    logger.info(
        f"{scan.path} ({in_words(scan.shape)} {scan.dtype}) -> "
        f"{store.path} ({in_words(tiling.output_shape)} {store.dtype}{voxel})"
    )
    logger.info(
        f"{left} block{'s' * (left != 1)} of {in_words(tiling.size)} voxels, {_widths(tiling.halo)} more on each side; "
        f"memory of the layers: {layers}; disk: about {_bytes(store.bytes_needed)} of {free} free"
    )


def _tell_beside(store: BlockStore, beside: str, blocks: int) -> None:
    left = blocks - len(store.done)
    logger.info(
        f"beside it {store.path} ({beside}, {store.dtype}): {left} block{'s' * (left != 1)}; "
        f"disk: about {_bytes(store.bytes_needed)}"
    )


def _widths(halo: Sequence[int]) -> str:
    return str(halo[0]) if len(set(halo)) == 1 else in_words(halo)


def _bytes(size: int) -> str:
    unit, name = next((unit for unit in ((1e12, "TB"), (1e9, "GB")) if size >= unit[0]), (1e6, "MB"))
    return f"{size / unit:.2g} {name}" if size < 100 * unit else f"{size / unit:.0f} {name}"
