"""Training of two generators between two kinds of images that nobody paired."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from ignite.engine import EventEnum
from monai.engines import Trainer
from monai.engines.utils import IterationEvents, default_metric_cmp_fn, default_prepare_batch
from monai.inferers import Inferer, SimpleInferer
from torch import Tensor, nn
from torch.optim import Optimizer

from rockmonai.engines.history_pool import HistoryPool
from rockmonai.engines.kickstart import Kickstart
from rockmonai.engines.precision import amp_dtype, autocast
from rockmonai.engines.shared_statistics import share_statistics
from rockmonai.engines.steps import discriminator_loss, fooling_loss, of_game, optimizer_step
from rockmonai.errors import UsageError
from rockmonai.losses import AdversarialLoss, LossTerm


class CycleGANTrainer(Trainer):
    """Trains a generator from images to labels, and one back, on images and labels of different places.

    In every iteration ``network`` makes ``pred`` of ``image`` and ``reverse_network`` makes ``fake_image`` of
    ``label``; the discriminators learn to tell these fakes from reals of their kind; then both generators learn from
    the same fakes and from ``losses``. A term may compare

    * ``image``, ``label``, ``pred`` and ``fake_image``;
    * ``recovered_image`` with ``image``, ``recovered_label`` with ``label``: there and back again, the cycle loss;
    * ``identity_image`` with ``image``, ``identity_label`` with ``label``: what a generator makes of an image that is
      already as it should be, where the networks keep the size of images.

    What no term names is not computed. ``state.output`` holds all of these that were, and ``loss``; ``state.losses``
    every term by its name, and of either kind ``adversarial_label``, ``discriminator_label``, ``adversarial_image``,
    ``discriminator_image``, times their weights but for ``d_weight``. Ranks share running statistics as in
    :class:`rockmonai.engines.GANTrainer`; under DistributedDataParallel each of the four networks is wrapped alone.

    Source: Zhu, Park, Isola, Efros, Unpaired image-to-image translation using cycle-consistent adversarial networks,
    https://arxiv.org/abs/1703.10593.

    Args:
        device: where all networks run.
        max_epochs: epochs to train.
        train_data_loader: batches with ``image`` (B, C, *spatial) and ``label`` (B, C, *spatial times scale), of
            places that have nothing to do with each other (see :class:`rockmonai.data.UnpairedDataset`).
        network: the generator from images to labels, which is wanted in the end.
        reverse_network: the generator from labels to images.
        optimizer: of both generators.
        losses: weighted, named terms of the generators' objective; a term of weight 0 costs nothing.
        discriminator_image: maps images and fake images to logits.
        discriminator_label: maps labels and predictions to logits.
        d_optimizer: of both discriminators.
        adversarial: vanilla, lsgan or wgangp, with its weight and label smoothing: one for both games, or one of each,
            ``{"image": ..., "label": ...}``. The game about labels is that of ``network``, whose ``pred``
            ``discriminator_label`` judges; the one about images that of ``reverse_network``, whose ``fake_image``
            ``discriminator_image`` judges.
        d_weight: factor of the discriminators' losses, each the mean of its errors on reals and fakes; 2 is their sum.
            One for both games, or one of each, likewise.
        gradient_penalty_weight: weight of the gradient penalty; 10 is usual with wgangp, 0 leaves it out.
        pool_size: earlier fakes of either kind kept to be shown to its discriminator again; 0 for none, 50 is usual.
        kickstart: probability that the way back starts from the real image or label, resized to the fake's size
            (nearest), which keeps the generators from agreeing on inverted greys; both kinds need equal channels.
        kickstart_steps: iterations at the start of the training in which this happens, and again where it is taken back
            there (see :class:`rockmonai.handlers.Tuner`).
        max_grad_norm: the gradients of both generators together are scaled down to this norm; None for no limit.
        amp: False, True, ``"bf16"`` or ``"fp16"`` (see :func:`rockmonai.engines.amp_dtype`).
        inferer: how the generators are applied; the default calls them.
        prepare_batch, postprocessing, key_train_metric, additional_metrics, metric_cmp_fn, train_handlers, decollate,
            event_names: as in :class:`monai.engines.SupervisedTrainer`.

    Raises:
        UsageError: if ``kickstart`` is no probability, something is given for other games than these or, in the first
            iteration, if identity losses are asked of networks that change the size of images.
    """

    # What a game adds to the names of its losses and logits, and the fakes and reals it is about.
    games: ClassVar[Mapping[str, tuple[str, str]]] = {
        "_label": ("pred", "label"),
        "_image": ("fake_image", "image"),
    }
    # From the first epoch on; it tells rockmonai.handlers.Checkpoints that no key metric can choose the best network.
    phase = "adversarial"

    def __init__(
        self,
        device: torch.device,
        max_epochs: int,
        train_data_loader: Iterable,
        network: nn.Module,
        reverse_network: nn.Module,
        optimizer: Optimizer,
        losses: Sequence[LossTerm],
        discriminator_image: nn.Module,
        discriminator_label: nn.Module,
        d_optimizer: Optimizer,
        adversarial: AdversarialLoss | Mapping[str, AdversarialLoss],
        d_weight: float | Mapping[str, float] = 1.0,
        gradient_penalty_weight: float = 0.0,
        pool_size: int = 0,
        kickstart: float = 0.0,
        kickstart_steps: int = 150,
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
        _check_games("adversarial", adversarial)
        _check_games("d_weight", d_weight)
        device = torch.device(device)
        self.network = network
        self.reverse_network = reverse_network
        self.optimizer = optimizer
        self.losses = [term for term in losses if term.active]
        self.compared = {key for term in self.losses for key in term.compared}
        self.discriminators = {"_label": discriminator_label, "_image": discriminator_image}
        self.d_optimizer = d_optimizer
        self.adversarial = adversarial
        self.d_weight = d_weight
        self.gradient_penalty_weight = gradient_penalty_weight
        self.pools = {game: HistoryPool(pool_size) for game in self.games}
        self.kickstart = Kickstart(kickstart, kickstart_steps)
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

    def state_objects(self) -> dict[str, Any]:
        """Return what a checkpoint must hold beside the networks and optimisers that the config names."""
        pools = {f"pool{game}": pool for game, pool in self.pools.items()}
        return {"grad_scaler": self.grad_scaler, "kickstart": self.kickstart, **pools}

    def _iteration(self, engine: Trainer, batchdata: Mapping[str, Tensor]) -> dict:
        state = self.state
        image, label = self.prepare_batch(batchdata, state.device, self.non_blocking)[:2]
        for real, pair in ((image, {"pred", "image"}), (label, {"fake_image", "label"})):
            if any(pair <= {*term.compared} for term in self.losses):
                real.requires_grad_()  # a loss may differentiate what was made of it, as a Jacobian penalty does
        state.losses, state.logits = {}, {}
        # The first draw that follows from the seed of the iteration (see rockmonai.handlers.KeyedRandomness): no pool
        # and no dropout changes it.
        kickstart = self.kickstart()

        self.network.train()
        self.reverse_network.train()
        with autocast(self.dtype, state.device):
            pred, fake_image = self.inferer(image, self.network), self.inferer(label, self.reverse_network)
        state.output = {"image": image, "label": label, "pred": pred, "fake_image": fake_image}
        self.fire_event(IterationEvents.FORWARD_COMPLETED)
        self._discriminator_step()
        self._generator_step(batchdata, kickstart)
        self.grad_scaler.update()
        for network in (self.network, self.reverse_network, *self.discriminators.values()):
            share_statistics(network)
        state.output = {key: value.detach() for key, value in state.output.items()}
        self.fire_event(IterationEvents.MODEL_COMPLETED)
        return state.output

    def _discriminator_step(self) -> None:
        state, total = self.state, []
        for game, (fake, real) in self.games.items():
            loss, losses, logits = discriminator_loss(
                self.discriminators[game],
                of_game(self.adversarial, game),
                state.output[real].detach(),
                self.pools[game](state.output[fake].detach()),
                self.dtype,
                self.gradient_penalty_weight,
            )
            total.append(of_game(self.d_weight, game) * loss)
            state.losses |= {name + game: value for name, value in losses.items()}
            state.logits |= {name + game: value for name, value in logits.items()}
        optimizer_step(self.d_optimizer, torch.stack(total).sum(), self.grad_scaler)

    def _generator_step(self, batchdata: Mapping[str, Any], kickstart: bool) -> None:
        output = self.state.output
        with autocast(self.dtype, self.state.device):
            output |= self._further_passes(kickstart)
            terms = {term.name: term({**batchdata, **output}) for term in self.losses}
            for game, (fake, _) in self.games.items():
                adversarial = of_game(self.adversarial, game)
                terms["adversarial" + game] = fooling_loss(self.discriminators[game], adversarial, output[fake])
            loss = torch.stack([term.float() for term in terms.values()]).sum()
        self.state.losses |= {name: term.item() for name, term in terms.items()}
        output["loss"] = loss
        self.fire_event(IterationEvents.LOSS_COMPLETED)
        optimizer_step(self.optimizer, loss, self.grad_scaler, self.max_grad_norm)
        self.fire_event(IterationEvents.BACKWARD_COMPLETED)

    def _further_passes(self, kickstart: bool) -> dict[str, Tensor]:
        """Return what the loss terms compare beside the first fakes."""
        image, label, pred, fake_image = (self.state.output[key] for key in ("image", "label", "pred", "fake_image"))
        if pred.shape[2:] != image.shape[2:] and self.compared & {"identity_image", "identity_label"}:
            raise UsageError(
                f"An identity loss compares an image with what a generator makes of it, but here {[*image.shape[2:]]} "
                f"becomes {[*pred.shape[2:]]}: give the identity terms of 'losses' the weight 0."
            )
        if kickstart:
            pred, fake_image = F.interpolate(image, pred.shape[2:]), F.interpolate(label, fake_image.shape[2:])
        passes = {
            "recovered_image": (pred, self.reverse_network),
            "recovered_label": (fake_image, self.network),
            "identity_image": (image, self.reverse_network),
            "identity_label": (label, self.network),
        }
        return {key: self.inferer(*of) for key, of in passes.items() if key in self.compared}


def _check_games(name: str, given: Any) -> None:
    """Refuse a mapping that has not one value for each game."""
    if isinstance(given, Mapping) and given.keys() != {"image", "label"}:
        raise UsageError(
            f"{name} is given for {', '.join(given) or 'nothing'}; give one value for both games, or one each for "
            "'image' and 'label'."
        )
