"""Keeps a training safe: resumable checkpoints, the best model, and a stop that loses nothing."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Events
from monai.engines.workflow import Workflow
from torch import nn

from rockmonai.errors import ModelError, Stopped, first_line
from rockmonai.handlers.checkpoint_file import newest_checkpoint, remove_checkpoint, write_checkpoint
from rockmonai.handlers.on_failure import on_failure
from rockmonai.handlers.stop_signals import StopSignals

logger = logging.getLogger("rockmonai")


class Checkpoints:
    """Saves everything a run needs to continue bit for bit, and the network as ``model.pt``.

    A checkpoint holds the objects of ``objects``, what the trainer adds (scaler, pool), the counters, the record of the
    run and the best metric so far. ``model.pt`` holds the network's weights at the best validation. A key metric such
    as PSNR cannot judge an adversarial training, which pays with it for sharpness: there ``model.pt`` is the network of
    the last epoch, as it is where nobody validates. A warm-up leaves its own, ``model_warmup.pt``. Further networks
    that are wanted afterwards get files of their own, beside ``model.pt`` and of the same moment.

    SIGTERM, SIGINT and SIGUSR1 end the run after the iteration in progress, with a checkpoint and exit code 75.

    Args:
        ckpt_dir: folder for ``checkpoint_<iteration>.pt`` and ``model.pt``.
        network: whose weights make ``model.pt``.
        objects: what else a run consists of, by name: networks, optimisers, schedulers.
        validator: evaluator whose key metric tells which model is best (larger is better); None takes the last one.
        interval: epochs between checkpoints.
        iterations: also save after every so many iterations; None saves at the end of epochs only.
        keep: checkpoints kept; the oldest is removed once the newest is verified.
        resume: continue from the newest whole checkpoint of ``ckpt_dir``.
        beside: further networks by the names of their files, such as ``model_reverse.pt``.
    """

    def __init__(
        self,
        ckpt_dir: str,
        network: nn.Module,
        objects: Mapping[str, Any],
        validator: Workflow | None = None,
        interval: int = 1,
        iterations: int | None = None,
        keep: int = 2,
        resume: bool = False,
        beside: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self.folder = Path(ckpt_dir)
        self.network = network
        self.objects = {"network": network, **objects}
        self.validator = validator
        self.interval = interval
        self.iterations = iterations
        self.keep = keep
        self.resume = resume
        self.beside = dict(beside or {})
        self.signals = StopSignals()

    def attach(self, engine: Workflow) -> None:
        """Follow ``engine``, a trainer."""
        engine.state.best = {}
        engine.state_dict_user_keys.append("best")
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.COMPLETED, self._finish)
        on_failure(engine, self.signals.restore)

    def save(self, engine: Workflow) -> None:
        """Write a checkpoint of this moment and remove those beyond ``keep``."""
        if engine.state.rank > 0:
            return
        objects = {name: thing.state_dict() for name, thing in self._things(engine).items()}
        path = self.folder / f"checkpoint_{engine.state.iteration:08d}.pt"
        write_checkpoint(objects | {"trainer": dict(engine.state_dict())}, path)
        for old in sorted(self.folder.glob("checkpoint_*.pt"))[: -self.keep]:
            remove_checkpoint(old)

    def _start(self, engine: Workflow) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not engine.has_event_handler(self._end_epoch):
            # Registered this late, they follow every other handler, and what they save includes its work.
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._end_iteration)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._end_epoch)
        self.signals.listen()
        newest = newest_checkpoint(self.folder) if self.resume else None
        if newest is not None:
            self._restore(engine, *newest)
        elif self.resume:
            logger.info("no checkpoint in %s yet: starting from the beginning", self.folder)

    def _restore(self, engine: Workflow, path: Path, content: dict) -> None:
        things = self._things(engine)
        absent = [name for name in (*things, "trainer") if name not in content]
        if absent:
            raise ModelError(f"{path} holds no {', '.join(absent)}: it belongs to another kind of training.")
        for name, thing in things.items():
            try:
                thing.load_state_dict(content[name])
            except (RuntimeError, ValueError) as error:
                raise ModelError(
                    f"'{name}' of {path} does not fit this config ({first_line(error)}); resume with the config "
                    "it was trained with."
                ) from error
        for name in ("epoch_length", "max_epochs"):
            then, now = content["trainer"][name], getattr(engine.state, name)
            if then != now:
                raise ModelError(f"{path} was written with {name} {then}, this run has {now}; resume with the same.")
        engine.load_state_dict(content["trainer"])
        logger.info("resumed in epoch %d, after iteration %d, from %s", *_place(engine), path.name)

    def _end_iteration(self, engine: Workflow) -> None:
        iteration, epoch_length = engine.state.iteration, engine.state.epoch_length
        if iteration % epoch_length == 0:
            return  # The epoch's own handlers come first: a checkpoint between them would lose their work.
        if self.signals.ask_all():
            self._stop(engine)
        elif self.iterations and iteration % self.iterations == 0:
            self.save(engine)

    def _end_epoch(self, engine: Workflow) -> None:
        self._keep_model(engine)
        if self.signals.ask_all():
            self._stop(engine)
        elif engine.state.epoch % self.interval == 0 or engine.state.epoch == engine.state.max_epochs:
            self.save(engine)

    def _keep_model(self, engine: Workflow) -> None:
        phase = getattr(engine, "phase", "pixel")
        name = "model_warmup.pt" if phase == "warmup" else "model.pt"
        last = phase == "adversarial" or self.validator is None
        if engine.state.rank == 0 and (last or self._is_best(engine, name)):
            self._write_model(name)

    def _write_model(self, name: str) -> None:
        write_checkpoint(self.network.state_dict(), self.folder / name)
        for another, network in self.beside.items() if name == "model.pt" else ():
            write_checkpoint(network.state_dict(), self.folder / another)

    def _is_best(self, engine: Workflow, name: str) -> bool:
        """Tell whether the validation of this epoch, if there was one, beat all others of this phase."""
        validator, best = self.validator, engine.state.best
        if validator is None or validator.state.epoch != engine.state.epoch:
            return False
        value = float(validator.state.metrics[validator.state.key_metric_name])
        if value <= best.get(name, -math.inf):
            return False
        best[name] = value
        return True

    def _finish(self, engine: Workflow) -> None:
        self.signals.restore()
        if engine.state.rank == 0 and not (self.folder / "model.pt").is_file():
            self._write_model("model.pt")
        if engine.state.rank == 0:
            logger.info("the network is in %s", self.folder / "model.pt")

    def _stop(self, engine: Workflow) -> None:
        assert self.signals.received is not None
        self.save(engine)
        raise Stopped(
            f"Stopped by {self.signals.received.name} at epoch {engine.state.epoch}, iteration "
            f"{engine.state.iteration}; run the same command with --resume true to continue."
        )

    def _things(self, engine: Workflow) -> dict[str, Any]:
        extra = engine.state_objects() if hasattr(engine, "state_objects") else {}
        return self.objects | extra


def _place(engine: Workflow) -> tuple[int, int]:
    """Return the epoch that is next or in progress, from 1, and the iterations done."""
    done = engine.state.iteration
    return min(done // engine.state.epoch_length + 1, engine.state.max_epochs), done
