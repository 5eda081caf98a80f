"""What happens before anything else when a bundle is run: checks, the output folder, determinism."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from monai.utils import set_determinism

from rockmonai.bundle.check_config import check_config, keys_of_files
from rockmonai.bundle.running import running_workflow
from rockmonai.errors import ModelError, OutputError, report_in_one_sentence
from rockmonai.volumes import atomic_write

# Keys that a resumed run may change: they alter how long or where it runs, not what it computes.
FREE_TO_CHANGE = {"resume", "overwrite", "epochs", "num_workers", "device", "output_dir", "ckpt_dir", "bundle_root"}


def prepare(
    output_dir: str, seed: int = 0, resume: bool = False, overwrite: bool = False, distributed: bool = False
) -> None:
    """Make a run safe to start, or end it with one sentence before any work is done.

    Checks every key and argument of the config, refuses to write over an earlier run, keeps the merged config as
    ``config.json`` in ``output_dir``, and seeds all generators. From here on an error ends the process with its one
    sentence and its exit code.

    Args:
        output_dir: folder of the run; made if need be.
        seed: seed of the run.
        resume: continue the run in ``output_dir``.
        overwrite: remove what an earlier run left there.
        distributed: join the other ranks that ``torchrun`` started.

    Raises:
        UsageError: if the config has an unknown key or argument.
        OutputError: if ``output_dir`` holds a run already, or cannot be written.
        ModelError: if ``resume`` is asked for with a config that differs from the run's.
    """
    report_in_one_sentence()
    workflow = running_workflow()
    config = workflow.parser.get() if workflow is not None else {}
    if workflow is not None:
        known = keys_of_files(Path(workflow.config_root_path), config)
        check_config(config, (workflow.init_id, workflow.run_id, workflow.final_id), known)
    if distributed:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    folder = Path(output_dir)
    if not dist.is_initialized() or dist.get_rank() == 0:
        _claim(folder, config, resume, overwrite)
    if dist.is_initialized():
        dist.barrier()
    set_determinism(seed)


def _claim(folder: Path, config: Mapping[str, Any], resume: bool, overwrite: bool) -> None:
    kept = folder / "config.json"
    if _leftovers(folder) and not resume and not overwrite:
        raise OutputError(
            f"{folder} holds an earlier run; pass --resume true to continue it, --overwrite true to start anew, "
            "or another --output_dir."
        )
    if resume and kept.is_file():
        _compare(json.loads(kept.read_text()), json.loads(_as_json(config)), folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made ({error.strerror}); choose another --output_dir.") from error
    if overwrite and not resume:
        for path in _leftovers(folder):
            path.unlink()
    with atomic_write(kept) as path:
        path.write_text(_as_json(config))


def _leftovers(folder: Path) -> list[Path]:
    """Return what an earlier run left, and nothing that a user may have put beside it.

    A config alone is not work: a run that was refused before it began must not stand in the way of the next one.
    """
    patterns = ("checkpoint_*.pt*", "model*.pt*", "metrics.csv", "scores.*", "previews/*.png", "events.out.tfevents.*")
    return [path for pattern in patterns for path in folder.glob(pattern)]


def _compare(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    changed = [
        f"{key} {json.dumps(before.get(key))} -> {json.dumps(now.get(key))}"
        for key in sorted({*before, *now} - FREE_TO_CHANGE)
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise ModelError(
            f"The run in {folder} was started with another config ({'; '.join(changed)[:400]}); resume with the same "
            "values, or choose another --output_dir."
        )


def _as_json(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=2, default=str) + "\n"
