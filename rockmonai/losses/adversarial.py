"""What generator and discriminator pay for each other's success, computed from logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from rockmonai.errors import UsageError, did_you_mean


def _wasserstein(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return ((1 - 2 * target) * logits).mean()


CRITERIA: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "vanilla": F.binary_cross_entropy_with_logits,
    "lsgan": F.mse_loss,
    "wgangp": _wasserstein,
}


def adversarial_loss(logits: torch.Tensor, target: float, mode: str = "vanilla") -> torch.Tensor:
    """Return the mean distance, a scalar, of ``logits`` from a verdict.

    Args:
        logits: what the discriminator says, any shape, before any sigmoid.
        target: the verdict that is wanted, 1 for real and 0 for fake.
        mode: ``"vanilla"`` is the cross-entropy (arXiv 1406.2661), ``"lsgan"`` the squared difference
            (arXiv 1611.04076), ``"wgangp"`` minus or plus the mean logit (arXiv 1701.07875).
    """
    logits = logits.float()
    return CRITERIA[mode](logits, torch.full_like(logits, target))


@dataclass(frozen=True)
class AdversarialLoss:
    """The two sides of an adversarial game.

    Unlike MONAI's PatchAdversarialLoss it works on logits throughout: no sigmoid before the logarithm, no activation
    before the squares.

    Args:
        mode: ``"vanilla"``, ``"lsgan"`` or ``"wgangp"``; the last one wants a
            :func:`~rockmonai.losses.gradient_penalty` beside it.
        weight: factor of the generator's side.
        smoothing: how far the reals' target lies below 1, for the discriminator only (arXiv 1606.03498).
        channels: those of the logits that count; None for all.
        others: further losses of the same game, each with its weight on the generator's side. What there is to say of
            verdicts is said by the first.

    Raises:
        UsageError: for an unknown mode, or for smoothing where there is no target to smooth.
    """

    mode: str = "vanilla"
    weight: float = 1.0
    smoothing: float = 0.0
    channels: Sequence[int] | None = None
    others: Sequence[AdversarialLoss] = ()

    def __post_init__(self) -> None:
        if self.mode not in CRITERIA:
            hint = did_you_mean(self.mode, CRITERIA)
            raise UsageError(f"The adversarial mode is one of {', '.join(CRITERIA)}, not '{self.mode}'{hint}.")
        if self.smoothing and self.mode == "wgangp":
            raise UsageError("The Wasserstein loss has no target to smooth: set smoothing to 0, or choose 'lsgan'.")

    @property
    def boundary(self) -> float:
        """The logit above which the discriminator takes an image for real."""
        return 0.5 if self.mode == "lsgan" else 0.0

    def for_generator(self, fake_logits: torch.Tensor) -> torch.Tensor:
        """Return what the generator pays, ``weight`` times its distance from being taken for real, and the others'."""
        own = self.weight * adversarial_loss(self._seen(fake_logits), 1.0, self.mode)
        return sum((other.for_generator(fake_logits) for other in self.others), own)

    def for_discriminator(self, real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
        """Return what the discriminator pays, the mean of its errors on reals and on fakes, and the others'."""
        on_reals = adversarial_loss(self._seen(real_logits), 1.0 - self.smoothing, self.mode)
        on_fakes = adversarial_loss(self._seen(fake_logits), 0.0, self.mode)
        return sum(
            (other.for_discriminator(real_logits, fake_logits) for other in self.others), (on_reals + on_fakes) / 2
        )

    def _seen(self, logits: torch.Tensor) -> torch.Tensor:
        return logits if self.channels is None else logits[:, list(self.channels)]
