"""Training of a generator by named losses, with or without a discriminator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from ignite.engine import EventEnum, Events
from monai.engines import Trainer
from monai.engines.utils import IterationEvents, default_metric_cmp_fn, default_prepare_batch
from monai.inferers import Inferer, SimpleInferer
from torch import Tensor, nn
from torch.optim import Optimizer

from rockmonai.engines.history_pool import HistoryPool
from rockmonai.engines.precision import amp_dtype, autocast
from rockmonai.engines.shared_statistics import share_statistics
from rockmonai.engines.steps import bare, discriminator_loss, fooling_loss, optimizer_step
from rockmonai.errors import UsageError
from rockmonai.losses import AdversarialLoss, LossTerm


class GANTrainer(Trainer):
    """Trains a generator on pairs: its own loss terms first, an adversarial loss beside them from then on.

    In every iteration the generator predicts once; the discriminator learns to tell this prediction from the label,
    then the generator learns from the same prediction. The reals are the labels. ``state.output`` holds ``image``,
    ``label``, ``pred`` and ``loss``; ``state.losses`` every loss by its name, times its weight, as numbers. A network
    that learns in several ways at once returns a mapping, with ``pred`` and whatever else the loss terms compare.
    What waits for the end of a warm-up sees the first label at its start, so that a size which it refuses is told then.
    Ranks that train together share the running statistics of their batch norms after every iteration, so that all
    validate the same network, and the one that saves it saves them.

    Args:
        device: where both networks run.
        max_epochs: epochs to train.
        train_data_loader: batches with ``image`` (B, C, *spatial) and ``label`` (B, C, *spatial times scale).
        network: the generator.
        optimizer: the generator's optimiser.
        losses: weighted, named terms of the generator's objective; a term of weight 0 costs nothing.
        discriminator: maps an image to logits; None trains the generator by ``losses`` alone.
        d_optimizer: the discriminator's optimiser.
        adversarial: vanilla, lsgan or wgangp, with its weight and label smoothing.
        warmup_epochs: epochs at the start in which only ``losses`` count and the discriminator rests; without one,
            those in which a part of the network rests (see :class:`rockmonai.handlers.Stacking`).
        d_steps: discriminator steps for each step of the generator, which learns in every ``d_steps``-th iteration.
        conditional: show the discriminator the input image beside the prediction or label, as further channels.
        gradient_penalty_weight: weight of the gradient penalty; 10 is usual with wgangp, 0 leaves it out.
        pool_size: earlier predictions kept to be shown to the discriminator again; 0 for none.
        max_grad_norm: gradients of either network are scaled down to this norm; None for no limit.
        amp: False, True, ``"bf16"`` or ``"fp16"`` (see :func:`rockmonai.engines.amp_dtype`).
        inferer: how the generator is applied; the default calls it.
        prepare_batch, postprocessing, key_train_metric, additional_metrics, metric_cmp_fn, train_handlers, decollate,
            event_names: as in :class:`monai.engines.SupervisedTrainer`.

    Raises:
        UsageError: if a discriminator comes without its optimiser or its loss, or if a loss waits for the end of a
            warm-up that has none.
    """

    # What a game adds to the names of its losses and logits, and the fakes and reals it is about.
    games: ClassVar[Mapping[str, tuple[str, str]]] = {"": ("pred", "label")}

    def __init__(
        self,
        device: torch.device,
        max_epochs: int,
        train_data_loader: Iterable,
        network: nn.Module,
        optimizer: Optimizer,
        losses: Sequence[LossTerm],
        discriminator: nn.Module | None = None,
        d_optimizer: Optimizer | None = None,
        adversarial: AdversarialLoss | None = None,
        warmup_epochs: int = 0,
        d_steps: int = 1,
        conditional: bool = False,
        gradient_penalty_weight: float = 0.0,
        pool_size: int = 0,
        max_grad_norm: float | None = None,
        amp: bool | str = False,
        inferer: Inferer | None = None,
        prepare_batch: Callable = default_prepare_batch,
        postprocessing: Callable | None = None,
        key_train_metric: dict | None = None,
        additional_metrics: dict | None = None,
        metric_cmp_fn: Callable = default_metric_cmp_fn,
        train_handlers: Sequence | None = None,
        decollate: bool = True,
        event_names: list[str | EventEnum | type[EventEnum]] | None = None,
    ) -> None:
        if discriminator is not None and (d_optimizer is None or adversarial is None):
            raise UsageError("A discriminator was given without d_optimizer or adversarial; give all three or none.")
        device = torch.device(device)
        self.network = network
        self.optimizer = optimizer
        self.losses = [term for term in losses if term.active]
        waiting = [term.name for term in self.losses if not term.warmup]
        if waiting and warmup_epochs >= max_epochs:
            raise UsageError(
                f"Among the losses, {' and '.join(waiting)} would count after the warm-up only, but all {max_epochs} "
                f"epochs are warm-up (warmup_epochs is {warmup_epochs}): lower warmup_epochs, or give a weight of 0."
            )
        self.discriminator = discriminator
        self.d_optimizer = d_optimizer
        self.adversarial = adversarial
        self.warmup_epochs = warmup_epochs
        self.d_steps = d_steps
        self.conditional = conditional
        self.gradient_penalty_weight = gradient_penalty_weight
        self.pool = HistoryPool(pool_size)
        self.max_grad_norm = max_grad_norm
        self.inferer = SimpleInferer() if inferer is None else inferer
        self.dtype = amp_dtype(amp, device)
        self.grad_scaler = torch.amp.GradScaler(device.type, enabled=self.dtype is torch.float16)
        super().__init__(
            device=device,
            max_epochs=max_epochs,
            data_loader=train_data_loader,
            prepare_batch=prepare_batch,
            postprocessing=postprocessing,
            key_metric=key_train_metric,
            additional_metrics=additional_metrics,
            metric_cmp_fn=metric_cmp_fn,
            handlers=train_handlers,
            decollate=decollate,
            event_names=event_names,
        )
        self.state.losses = {}
        self.add_event_handler(Events.STARTED, self._wake_d_optimizer)

    @property
    def phase(self) -> str:
        """``"warmup"`` in the epochs that others follow, then ``"adversarial"``, or ``"pixel"`` where nothing joins."""
        if self.state.epoch <= self.warmup_epochs < self.state.max_epochs:
            return "warmup"
        never = self.discriminator is None or self.warmup_epochs >= self.state.max_epochs
        return "pixel" if never else "adversarial"

    @property
    def phase_began(self) -> int:
        """Number of iterations before the phase."""
        behind = self.warmup_epochs if self.warmup_epochs < self.state.epoch else 0
        return behind * (self.state.epoch_length or 0)

    def state_objects(self) -> dict[str, Any]:
        """Return what a checkpoint must hold beside the networks and optimisers that the config names."""
        return {"grad_scaler": self.grad_scaler, "pool": self.pool}

    def _wake_d_optimizer(self) -> None:
        # Its schedule steps through the warm-up, and torch warns of a schedule whose optimiser has never stepped.
        # Without gradients this step changes nothing.
        if self.d_optimizer is not None:
            self.d_optimizer.step()

    def _iteration(self, engine: Trainer, batchdata: Mapping[str, Tensor]) -> dict:
        state = self.state
        image, label = self.prepare_batch(batchdata, state.device, self.non_blocking)[:2]
        if any(term.needs_input_gradient for term in self.losses):
            image.requires_grad_()
        adversarial = self.phase == "adversarial"
        generator_learns = not adversarial or state.iteration % self.d_steps == 0
        state.losses = {}

        self.network.train()
        with torch.set_grad_enabled(generator_learns), autocast(self.dtype, state.device):
            made = self.inferer(image, self.network)
        made = made if isinstance(made, Mapping) else {"pred": made}
        state.output = {"image": image, "label": label, **made}
        self.fire_event(IterationEvents.FORWARD_COMPLETED)
        if state.iteration == 1 and self.phase == "warmup":
            self._rehearse(batchdata)
        if adversarial:
            self._discriminator_step(image, label, made["pred"].detach())
        if generator_learns:
            self._generator_step(batchdata, adversarial)
        self.grad_scaler.update()
        share_statistics(self.network)
        if adversarial and self.discriminator is not None:
            share_statistics(self.discriminator)
        state.output = {key: value.detach() for key, value in state.output.items()}
        self.fire_event(IterationEvents.MODEL_COMPLETED)
        return state.output

    @torch.no_grad()
    def _rehearse(self, batchdata: Mapping[str, Any]) -> None:
        """Show the label, as a perfect prediction, to all that waits for the end of the warm-up; nothing learns."""
        output = self.state.output
        image, label = output["image"], output["label"]
        with autocast(self.dtype, self.state.device):
            for term in self.losses:
                if not (term.warmup or term.needs_input_gradient):
                    term({**batchdata, **output, "pred": label})
            if self.discriminator is not None:
                discriminator = bare(self.discriminator)
                training = discriminator.training
                # No statistics are updated, and no dropout draws.
                discriminator.eval()(self._shown(image, label))
                discriminator.train(training)

    def _discriminator_step(self, image: Tensor, label: Tensor, pred: Tensor) -> None:
        discriminator, adversarial = self.discriminator, self.adversarial
        assert discriminator is not None and adversarial is not None and self.d_optimizer is not None
        loss, losses, self.state.logits = discriminator_loss(
            discriminator,
            adversarial,
            self._shown(image, label),
            self.pool(self._shown(image, pred)),
            self.dtype,
            self.gradient_penalty_weight,
        )
        self.state.losses |= losses
        optimizer_step(self.d_optimizer, loss, self.grad_scaler, self.max_grad_norm)

    def _generator_step(self, batchdata: Mapping[str, Any], adversarial: bool) -> None:
        output = self.state.output
        tensors = {**batchdata, **output}
        with autocast(self.dtype, self.state.device):
            first = self.state.epoch <= self.warmup_epochs
            terms = {term.name: term(tensors) for term in self.losses if term.warmup or not first}
            if adversarial:
                assert self.discriminator is not None and self.adversarial is not None
                shown = self._shown(output["image"], output["pred"])
                terms["adversarial"] = fooling_loss(self.discriminator, self.adversarial, shown)
            loss = sum((term.float() for term in terms.values()), torch.zeros((), device=self.state.device))
        if not loss.requires_grad:
            raise UsageError(
                f"None of the losses ({', '.join(terms) or 'of which none counts'}) compares what the network learns "
                "now: give 'losses' a term for it."
            )
        self.state.losses |= {name: term.item() for name, term in terms.items()}
        output["loss"] = loss
        self.fire_event(IterationEvents.LOSS_COMPLETED)
        optimizer_step(self.optimizer, loss, self.grad_scaler, self.max_grad_norm)
        self.fire_event(IterationEvents.BACKWARD_COMPLETED)

    def _shown(self, image: Tensor, picture: Tensor) -> Tensor:
        """Return what the discriminator sees of a prediction or label."""
        if not self.conditional:
            return picture
        return torch.cat([F.interpolate(image.detach(), size=picture.shape[2:]), picture], dim=1)
