"""What happens before anything else when a bundle is run: checks, the run's folders, determinism."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch.distributed as dist
from monai.utils import set_determinism

from rockmonai.bundle.check_config import check_config, keys_of_files
from rockmonai.bundle.check_values import check_values
from rockmonai.bundle.claim import claim
from rockmonai.bundle.ranks import join_ranks
from rockmonai.bundle.running import running_workflow
from rockmonai.errors import report_in_one_sentence

WORDS = {"true": True, "false": False, "null": None}


def prepare(
    output_dir: str | None = None,
    ckpt_dir: str | None = None,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    distributed: bool | str = False,
) -> None:
    """Make a run safe to start, or end it with one sentence before any work is done.

    Checks the keys, arguments and values of the config, refuses to write over an earlier run, and seeds all
    generators. From here on an error ends the process with its one sentence and its exit code.

    Args:
        output_dir: folder that the run's results are for; None for a job that guards its own output file.
        ckpt_dir: folder that a training's checkpoints are for; None for an evaluation.
        seed: seed of the run.
        resume: continue the training in these folders.
        overwrite: remove what an earlier run of the same kind left there.
        distributed: join the other ranks that ``torchrun`` started; ``"auto"`` does so if it started any.

    Raises:
        UsageError: if the config has an unknown key or argument, or an impossible value.
        OutputError: if the folders hold a run already, or cannot be written.
        ModelError: if ``resume`` is asked for with a config that differs from the run's.
    """
    report_in_one_sentence()
    resume, overwrite = (bool(_understood(word)) for word in (resume, overwrite))
    config: dict[str, Any] = {}
    workflow = running_workflow()
    if workflow is not None:
        # The command line of MONAI hands JSON's words over as strings, and the string "false" is true to Python.
        config = _understood(workflow.parser.get())
        workflow.parser.set(config)
        workflow.parser.parse(reset=True)
        known = keys_of_files(Path(workflow.config_root_path), config)
        check_config(config, (workflow.init_id, workflow.run_id, workflow.final_id), known)
        check_values(config)
    if dist.is_torchelastic_launched() if distributed == "auto" else _understood(distributed):
        join_ranks()
    if output_dir is not None and not (dist.is_initialized() and dist.get_rank() > 0):
        claim(Path(output_dir), None if ckpt_dir is None else Path(ckpt_dir), config, resume, overwrite)
    if dist.is_initialized():
        dist.barrier()
    set_determinism(seed)


def _understood(config: Any) -> Any:
    """Return ``config`` with the strings "true", "false" and "null" as what they mean in JSON."""
    if isinstance(config, dict):
        return {key: _understood(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [_understood(value) for value in config]
    return WORDS.get(config, config) if isinstance(config, str) else config
