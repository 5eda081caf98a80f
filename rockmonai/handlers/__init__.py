"""Ignite handlers: what happens around a training or an evaluation."""

from rockmonai.handlers.block_writer import BlockWriter
from rockmonai.handlers.checkpoint_file import load_weights, newest_checkpoint, read_checkpoint, write_checkpoint
from rockmonai.handlers.checkpoints import Checkpoints
from rockmonai.handlers.collapse_monitor import CollapseMonitor
from rockmonai.handlers.confusion import Confusion
from rockmonai.handlers.examples import Examples
from rockmonai.handlers.history import History
from rockmonai.handlers.key_metric import key_metric_of
from rockmonai.handlers.keyed_randomness import KeyedRandomness
from rockmonai.handlers.loss_weights import BalancedWeights, TargetDiscriminatorLoss
from rockmonai.handlers.moving_average import MovingAverage
from rockmonai.handlers.original_results import OriginalResults
from rockmonai.handlers.predictions import Predictions
from rockmonai.handlers.previews import Previews
from rockmonai.handlers.progress import Progress
from rockmonai.handlers.scores import Scores
from rockmonai.handlers.stacking import Stacking
from rockmonai.handlers.stop_on_nan import StopOnNaN
from rockmonai.handlers.tuner import Tuner

__all__ = [
    "BalancedWeights",
    "BlockWriter",
    "Checkpoints",
    "CollapseMonitor",
    "Confusion",
    "Examples",
    "History",
    "KeyedRandomness",
    "MovingAverage",
    "OriginalResults",
    "Predictions",
    "Previews",
    "Progress",
    "Scores",
    "Stacking",
    "StopOnNaN",
    "TargetDiscriminatorLoss",
    "Tuner",
    "key_metric_of",
    "load_weights",
    "newest_checkpoint",
    "read_checkpoint",
    "write_checkpoint",
]
