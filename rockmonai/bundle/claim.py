"""The folders of a run: claimed before any work, never written over silently."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rockmonai.errors import ModelError, OutputError, UsageError
from rockmonai.volumes import atomic_write, make_writable
from rockmonai.volumes.changes import changes

# What each kind of run leaves, and nothing that a user may have put beside it.
CHECKPOINTS = ("checkpoint_*.pt*", "model*.pt*")
TRAINING = ("metrics.csv", "previews/epoch_*.png")
LOGS = "events.out.tfevents.*"
MAPS = ("classes/*.tif", "colours/*.tif", "uncertainty/*.tif")
EVALUATION = ("scores.*", "confusion.csv", "previews/test_*.png", "examples/*/*.tif", *MAPS)

# Keys that a resumed run may change: they say where or how fast it runs, not what it computes.
FREE_TO_CHANGE = ("resume", "overwrite", "num_workers", "device", "output_dir", "ckpt_dir", "bundle_root", "_meta_")


def claim(
    output_dir: Path, ckpt_dir: Path | None, config: Mapping[str, Any], resume: bool = False, overwrite: bool = False
) -> None:
    """Make the folders of a run and keep a training's merged config as ``config.json``, or refuse.

    A config alone is no work: a training that was refused before it began does not stand in the way of the next one.

    Args:
        output_dir: folder of the results.
        ckpt_dir: folder of the checkpoints; None for an evaluation, which leaves scores alone.
        config: the merged config.
        resume: continue what is there.
        overwrite: remove what is there.

    Raises:
        UsageError: if both are asked for.
        OutputError: if an earlier run is there, or the folders cannot be written.
        ModelError: if ``resume`` is asked for with another config.
    """
    if resume and overwrite:
        raise UsageError("resume and overwrite are both true; pass one: resume continues, overwrite starts anew.")
    training = ckpt_dir is not None
    work = [(output_dir, pattern) for pattern in (TRAINING if training else EVALUATION)]
    if ckpt_dir is not None:
        work += [(ckpt_dir, pattern) for pattern in CHECKPOINTS]
    there = [path for folder, pattern in work for path in folder.glob(pattern)]
    kept = output_dir / "config.json"
    if there and not (resume or overwrite):
        go_on = "--resume true to continue it, " if training else ""
        raise OutputError(
            f"{there[0].parent} holds an earlier run ({there[0].name}); pass {go_on}--overwrite true to start anew, "
            "or another --output_dir."
        )
    if resume and there and kept.is_file():
        _compare(json.loads(kept.read_text()), json.loads(_as_json(config)), output_dir)
    for folder in {output_dir, ckpt_dir or output_dir}:
        make_writable(folder, "choose another --output_dir")
    if not resume:  # a log alone is that of a training that was refused before its first step
        for path in (*there, *(output_dir.glob(LOGS) if training else ())):
            path.unlink()
    if training:
        with atomic_write(kept) as path:
            path.write_text(_as_json(config))


def _compare(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    old, new = ({k: v for k, v in config.items() if k not in FREE_TO_CHANGE} for config in (before, now))
    changed = changes(old, new)
    if changed:
        raise ModelError(
            f"The run in {folder} was started with another config ({changed}); resume with the same values, or choose "
            "another --output_dir."
        )


def _as_json(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=2, default=str) + "\n"
