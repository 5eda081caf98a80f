"""What every adversarial training does in an iteration, however many networks play."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rockmonai.engines.precision import autocast
from rockmonai.losses import AdversarialLoss, gradient_penalty

T = TypeVar("T")


def discriminator_loss(
    discriminator: nn.Module,
    adversarial: AdversarialLoss,
    real: Tensor,
    fake: Tensor,
    dtype: torch.dtype | None = None,
    penalty_weight: float = 0.0,
) -> tuple[Tensor, dict[str, float], dict[str, Tensor]]:
    """Return what a discriminator pays for its verdicts, with all its parameters ready to learn from it.

    Args:
        discriminator: maps a batch of images to logits; bare or wrapped.
        adversarial: its side of the game.
        real: images (B, C, *spatial).
        fake: as many images; no gradient flows into them.
        dtype: what autocast computes in; None for float32.
        penalty_weight: weight of the gradient penalty; 0 leaves it out.

    Returns:
        The loss; it as ``discriminator`` and, if there is one, its part ``gradient_penalty`` as numbers; and the logits
        of the images, ``real`` and ``fake``.
    """
    discriminator.train()
    discriminator.requires_grad_(True)
    losses = {}
    with autocast(dtype, real.device):
        real_logits, fake_logits = discriminator(real), discriminator(fake)
        loss = adversarial.for_discriminator(real_logits, fake_logits)
    if penalty_weight:
        penalty = penalty_weight * gradient_penalty(bare(discriminator), real, fake.float())
        losses["gradient_penalty"] = penalty.item()
        loss = loss + penalty
    losses["discriminator"] = loss.item()
    return loss, losses, {"real": real_logits.detach().float(), "fake": fake_logits.detach().float()}


def fooling_loss(discriminator: nn.Module, adversarial: AdversarialLoss, fake: Tensor) -> Tensor:
    """Return what a generator pays for ``fake``; the discriminator passes gradients on but collects none."""
    discriminator.requires_grad_(False)
    return adversarial.for_generator(bare(discriminator)(fake))


def of_game(given: T | Mapping[str, T], game: str) -> T:
    """Return what is given for one game: by its name, or for all games alike.

    Args:
        given: a value, or one of each game by the kind of images that it is about, such as ``"image"``.
        game: what it adds to the names of its losses, such as ``"_image"``.
    """
    return given[game.removeprefix("_")] if isinstance(given, Mapping) else given


def optimizer_step(
    optimizer: Optimizer, loss: Tensor, grad_scaler: torch.amp.GradScaler, max_grad_norm: float | None = None
) -> None:
    """Lower ``loss`` by one step of ``optimizer``.

    Args:
        optimizer: of one network or of several.
        loss: a scalar.
        grad_scaler: keeps small gradients in fp16 and skips a step that overflowed; its ``update`` is the caller's.
        max_grad_norm: the gradients of all that the optimiser holds, taken together, are scaled down to this norm.
    """
    optimizer.zero_grad(set_to_none=True)
    grad_scaler.scale(loss).backward()
    if max_grad_norm is not None:
        grad_scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(chain(*(group["params"] for group in optimizer.param_groups)), max_grad_norm)
    grad_scaler.step(optimizer)


def bare(network: nn.Module) -> nn.Module:
    """Return the network inside a DistributedDataParallel wrapper, whose hooks must see one backward a step."""
    return network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network
