"""Which bundle is being run: found from the run itself, so that nobody has to type a path."""

from __future__ import annotations

import inspect
from pathlib import Path

from monai.bundle import ConfigWorkflow

from rockmonai.errors import UsageError, report_in_one_sentence


def running_workflow() -> ConfigWorkflow | None:
    """Return the MONAI workflow that is building the component which calls this, or None outside of one.

    A config cannot know its own path and MONAI passes none to the components; but the workflow that builds them is
    on the call stack, however it was started: ``python -m monai.bundle run``, ``create_workflow`` or an application.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), ConfigWorkflow):
            return frame.f_locals["self"]
        frame = frame.f_back
    return None


def root(name: str) -> str:
    """Return the folder of the bundle whose config is being run.

    It is right from any working directory and for a bundle that was copied elsewhere. A config that is parsed without
    a workflow is looked for as ``bundles/<name>`` below the working directory, then as the working directory itself.

    Args:
        name: the bundle's name, for instance ``"srgan"``.

    Raises:
        UsageError: if there is no such folder; pass ``--bundle_root``.
    """
    report_in_one_sentence()
    workflow = running_workflow()
    if workflow is not None:
        configs = Path(workflow.config_root_path)
        return str(configs.parent if configs.name == "configs" else configs)
    for folder in (Path("bundles") / name, Path(".")):
        if (folder / "configs" / "metadata.json").is_file():
            return str(folder)
    raise UsageError(f"The bundle '{name}' was not found below {Path.cwd()}; pass --bundle_root with its folder.")
