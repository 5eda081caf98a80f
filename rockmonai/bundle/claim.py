"""The folders of a run: claimed before any work, never written over silently."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rockmonai.errors import ModelError, OutputError, UsageError
from rockmonai.volumes import atomic_write, make_writable

# What each kind of run leaves, and nothing that a user may have put beside it.
CHECKPOINTS = ("checkpoint_*.pt*", "model*.pt*")
TRAINING = ("metrics.csv", "previews/epoch_*.png", "events.out.tfevents.*")
EVALUATION = ("scores.*", "previews/test_*.png")

# Keys that a resumed training may change: they say where or how fast it runs, not what it computes.
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
    if overwrite and not resume:
        for path in there:
            path.unlink()
    if training:
        with atomic_write(kept) as path:
            path.write_text(_as_json(config))


def _compare(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    old, new = (dict(_values({k: v for k, v in c.items() if k not in FREE_TO_CHANGE})) for c in (before, now))
    changed = [
        f"{key} {json.dumps(old.get(key))} -> {json.dumps(new.get(key))}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]
    if changed:
        more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
        raise ModelError(
            f"The run in {folder} was started with another config ({'; '.join(changed[:4])}{more}); resume with the "
            "same values, or choose another --output_dir."
        )


def _values(config: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a nested config with its id, lists included."""
    items = config.items() if isinstance(config, Mapping) else enumerate(config) if isinstance(config, list) else None
    if items is None:
        yield key, config
        return
    for name, value in items:
        yield from _values(value, f"{key}#{name}" if key else str(name))


def _as_json(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=2, default=str) + "\n"
