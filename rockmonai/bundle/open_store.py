"""The output of an inference: opened, resumed or refused before any work, with its cost told."""

from __future__ import annotations

import json
import logging
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as dist

from rockmonai.bundle.running import running_workflow
from rockmonai.data.scan import Scan
from rockmonai.inferers.tiling import Tiling
from rockmonai.volumes import BlockStore, sha256_of

logger = logging.getLogger("rockmonai")

# Keys that a resumed inference may change: they say where or how fast it runs, not what it computes.
FREE_TO_CHANGE = (
    "input_file", "output_file", "output_dir", "ckpt_dir", "ckpt_path", "bundle_root", "dataset_dir", "overwrite",
    "num_workers", "device", "_meta_",
)  # fmt: skip


def open_store(
    output_file: str, scan: Scan, tiling: Tiling, weights: str, dtype: str | None = None, overwrite: bool = False
) -> BlockStore:
    """Return the store that the blocks of ``scan`` are written to, and print what is about to be done.

    Args:
        output_file: the final name; its suffix chooses the format.
        scan: what is read.
        tiling: its blocks.
        weights: file of the network's weights; a run that was begun with others is not continued.
        dtype: of the output; None for that of the scan.
        overwrite: replace an existing output, and forget an unfinished one.

    Raises:
        OutputError: the output exists, is being written by another process, or cannot be.
        ModelError: an unfinished output was begun with another scan, other weights or another config.
    """
    workflow = running_workflow()
    config: dict[str, Any] = {} if workflow is None else workflow.parser.get()
    spacing = scan.spacing and tuple(size / factor for size, factor in zip(scan.spacing, tiling.scale, strict=True))
    rank = dist.get_rank() if dist.is_initialized() else 0
    if rank > 0:
        dist.barrier()
    store = BlockStore(
        output_file,
        (tiling.footprint.channels, *tiling.output_shape),
        np.dtype(dtype or scan.dtype),
        spacing,
        [min(n * s, whole) for n, s, whole in zip(tiling.size, tiling.scale, tiling.output_shape, strict=True)],
        {
            "input": scan.fingerprint,
            "weights": sha256_of(weights),
            "config": json.loads(json.dumps({k: v for k, v in config.items() if k not in FREE_TO_CHANGE}, default=str)),
            "blocks": {"size": tiling.size, "halo": tiling.halo},
        },
        overwrite,
        rank,
    )
    if rank == 0:
        _tell(store, scan, tiling)
        if dist.is_initialized():
            dist.barrier()
    return store


def _tell(store: BlockStore, scan: Scan, tiling: Tiling) -> None:
    logger.info(
        "%s (%s %s) -> %s (%s %s)",
        scan.path,
        _times(scan.shape),
        scan.dtype,
        store.path,
        _times(tiling.output_shape),
        store.dtype,
    )
    left = len(tiling.blocks) - len(store.done)
    layers = "unknown" if tiling.bytes_at_once is None else f"about {_gigabytes(tiling.bytes_at_once)}"
    logger.info(
        "%d blocks of %s voxels with a halo of %s; memory for the layers of one: %s; disk: about %s of %s free",
        left,
        _times(tiling.size),
        _times(tiling.halo),
        layers,
        _gigabytes(store.bytes_needed),
        _gigabytes(shutil.disk_usage(Path(store.path).parent).free),
    )


def _times(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes)) if len(set(sizes)) > 1 else f"{sizes[0]}^{len(sizes)}"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2g} GB" if size < 1e11 else f"{size / 1e9:.0f} GB"
