"""The figure that a plateau rule watches."""

from __future__ import annotations

from collections.abc import Callable

from monai.engines import Evaluator
from monai.engines.workflow import Workflow


def key_metric_of(validator: Evaluator) -> Callable[[Workflow], float]:
    """Return a function of the trainer that gives the latest key metric of ``validator``.

    It is the ``step_transform`` of MONAI's LrScheduleHandler for ``torch.optim.lr_scheduler.ReduceLROnPlateau``, with
    ``mode`` set to ``"max"`` for PSNR and SSIM.

    Args:
        validator: the evaluator that validates before the handler steps.
    """

    def latest(trainer: Workflow) -> float:
        return float(validator.state.metrics[validator.state.key_metric_name])

    return latest
