"""Running bundles: where they are, on what they run, and what is checked before they do."""

from rockmonai.bundle.check_config import check_config
from rockmonai.bundle.device import device
from rockmonai.bundle.export import export
from rockmonai.bundle.guards import Guards
from rockmonai.bundle.import_weights import import_weights
from rockmonai.bundle.open_store import open_store
from rockmonai.bundle.prepare import prepare
from rockmonai.bundle.ranks import join_ranks, leave_ranks
from rockmonai.bundle.running import root, running_workflow
from rockmonai.bundle.trained import started, trained

__all__ = [
    "Guards",
    "check_config",
    "device",
    "export",
    "import_weights",
    "join_ranks",
    "leave_ranks",
    "open_store",
    "prepare",
    "root",
    "running_workflow",
    "started",
    "trained",
]
