"""The gradient penalty that keeps a Wasserstein discriminator 1-Lipschitz."""

from __future__ import annotations

from collections.abc import Callable

import torch


def gradient_penalty(
    discriminator: Callable[[torch.Tensor], torch.Tensor],
    real: torch.Tensor,
    fake: torch.Tensor,
    alpha: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Return how far the slope of the discriminator is from 1 between reals and fakes.

    .. math:: \frac{1}{B} \sum_b \left( \lVert \nabla_z D(z)_b \rVert_2 - 1 \right)^2,
              \qquad z = \alpha \cdot real + (1 - \alpha) \cdot fake

    Gulrajani et al., Improved training of Wasserstein GANs, https://arxiv.org/abs/1704.00028. The published weight
    is 10. The discriminator must not mix samples: no batch norm.

    Args:
        discriminator: maps a batch of images to logits; a conditional one gets the condition as channels of both.
        real: images, (B, C, ...).
        fake: as many images; no gradient flows into them.
        alpha: where to look between the two, (B,) in [0, 1]; drawn uniformly when absent.
    """
    if alpha is None:
        alpha = torch.rand(len(real), device=real.device, dtype=real.dtype)
    alpha = alpha.view(-1, *[1] * (real.ndim - 1))
    between = (alpha * real.detach() + (1 - alpha) * fake.detach()).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    # The norm has no derivative at 0, where a dead discriminator would turn the weights into NaN.
    norm = torch.linalg.vector_norm(slope.flatten(1) + 1e-16, dim=1)
    return ((norm - 1) ** 2).mean()
