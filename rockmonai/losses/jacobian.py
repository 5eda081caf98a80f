"""The Jacobian penalty: similar inputs, such as neighbouring slices, shall give similar outputs."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from rockmonai.errors import UsageError


def jacobian_penalty(pred: torch.Tensor, image: torch.Tensor, projections: int = 1) -> torch.Tensor:
    r"""Return half the squared Frobenius norm of the derivative of ``pred`` by ``image``, averaged over the batch.

    .. math:: J = \frac{1}{2B} \sum_b \left\lVert \frac{\partial pred_b}{\partial image_b} \right\rVert_F^2

    Random projections estimate it without bias: one backward pass each, whatever the size of the image. Hoffman,
    Roberts, Yaida, Robust learning with Jacobian regularization, https://arxiv.org/abs/1908.02729. The result can
    itself be differentiated. Where batch norm is training, the derivatives between samples count too.

    Args:
        pred: what the network made of ``image``, (B, ...) of any size.
        image: the network's input, (B, ...), which required grad before the network saw it.
        projections: number of random directions per sample; -1 takes all outputs in turn, which is exact, and
            affordable for a handful of them.

    Raises:
        UsageError: when there is no gradient to follow, or no projection.
    """
    if not (image.requires_grad and pred.requires_grad):
        raise UsageError(
            "The Jacobian penalty follows the gradient of the prediction to the image, but found none: call "
            "image.requires_grad_() before the network, with gradients enabled."
        )
    if projections < 1 and projections != -1:
        raise UsageError(f"The Jacobian penalty needs 1 or more projections, or -1 for all; found {projections}.")
    outputs = pred.flatten(1).float()
    batch, size = outputs.shape
    if projections == -1:
        directions = (row.expand(batch, -1) for row in torch.eye(size, device=pred.device))
        factor = 1.0
    else:
        directions = (F.normalize(torch.randn_like(outputs), dim=1) for _ in range(projections))
        # A unit vector catches 1 / size of the squared norm on average.
        factor = size / projections
    total = torch.stack([_squared_gradient(outputs, image, direction) for direction in directions]).sum()
    return factor * total / (2 * batch)


def _squared_gradient(outputs: torch.Tensor, image: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """Return the squared norm of the vector-Jacobian product, over the whole batch."""
    (gradient,) = torch.autograd.grad(outputs, image, grad_outputs=direction, create_graph=True)
    return gradient.float().square().sum()


class JacobianPenalty(nn.Module):
    """:func:`jacobian_penalty` as a loss of ``(pred, image)``.

    Args:
        projections: number of random directions per sample, -1 for the exact value.
    """

    between = ("pred", "image")

    def __init__(self, projections: int = 1) -> None:
        super().__init__()
        self.projections = projections

    def forward(self, pred: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Return the penalty, a scalar."""
        return jacobian_penalty(pred, image, self.projections)
