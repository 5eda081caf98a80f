"""An ensemble of U-Nets for the classes of a rock, whose votes another U-Net weighs (stacking)."""

from __future__ import annotations

import torch
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks.layers import check_sides
from rockmonai.networks.unet import UNet


class StackedUNets(nn.Module):
    """Returns a logit for each class and voxel, from the votes of as many binary U-Nets as classes and a common one.

    Stacked generalisation (Wolpert 1992, https://doi.org/10.1016/S0893-6080(05)80023-1): the members, U-Nets that each
    know one class against all others and one that knows all, learn first; then a further U-Net learns what to make of
    their probabilities, and the members stay as they are. They run one after the other, and only their logits are kept.

    Once :meth:`stack` has said who learns, the network returns not a tensor but what the losses need, in training mode:
    a dict with ``"binary"`` and ``"multi"``, the logits of the members, and ``"pred"``, the logits of the stacking
    network, or as long as the members learn their mean vote. Only what learns has a gradient.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: number of classes, and of binary members; class 0 is what is left where no other class is found.
        width: channels of the first level of each U-Net.
        levels: number of halvings.
        norm: as in :class:`rockmonai.networks.UNet`.
        dropout: as there.
        align_corners: as there.
        combine: what is returned in evaluation mode: ``"stack"``, the stacking network's logits; ``"mean"``,
            log-probabilities, the mean of the common member's and of the binary ones' scaled to a sum of 1;
            ``"backbone"``, log-probabilities of the binary members alone, the greatest of which decides, and must be
            above 0.5 for another class than 0.
        residual: what the stacking network says is added to the mean vote, with which it begins; otherwise it speaks
            for itself, as in trainings of the original code.

    Shapes:
        ``(B, in_channels, [Z,] Y, X)`` to ``(B, out_channels, [Z,] Y, X)``, with sides that are multiples of
        ``2 ** levels``.

    Attributes:
        multiple: sides of images are multiples of this.
        stacking: whether the stacking network learns, and is asked; else the members learn, and ``"mean"`` stands in
            for ``"stack"``. True until :meth:`stack` says otherwise; it is no part of the weights.

    Raises:
        UsageError: for another ``combine``; when called with an image whose sides are no such multiples.
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 4,
        width: int = 64,
        levels: int = 4,
        norm: str | tuple | None = "batch",
        dropout: float = 0.0,
        align_corners: bool = False,
        combine: str = "stack",
        residual: bool = True,
    ) -> None:
        super().__init__()
        if combine not in ("stack", "mean", "backbone"):
            raise UsageError(f"StackedUNets combine by 'stack', 'mean' or 'backbone', not by {combine!r}.")

        def member(inside: int, outside: int) -> UNet:
            return UNet(spatial_dims, inside, outside, width, levels, norm, dropout, align_corners)

        self.multiple, self.combine, self.residual = 2**levels, combine, residual
        self.stacking, self.taught = True, False
        self.binary = nn.ModuleList(member(in_channels, 1) for _ in range(out_channels))
        self.multi = member(in_channels, out_channels)
        self.votes = Votes("probabilities")
        self.mean = Votes("mean")
        self.verdict = Votes("backbone") if combine == "backbone" else self.mean
        self.stacker = member(2 * out_channels, out_channels)
        if residual:
            for values in self.stacker.tail.parameters():
                nn.init.zeros_(values)

    def stack(self, flag: bool) -> None:
        """Let the stacking network learn and freeze the members, or let these learn without it.

        Frozen members take no gradient, and their norms keep their statistics.
        """
        self.stacking, self.taught = flag, True
        for network in (self.binary, self.multi):
            network.requires_grad_(not flag)
        self.train(self.training)

    def train(self, mode: bool = True) -> StackedUNets:
        """Set the mode of whatever learns; frozen members stay in evaluation mode."""
        super().train(mode)
        if self.stacking:
            self.binary.eval()
            self.multi.eval()
        return self

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the combined logits of ``image``; while it is taught a dict of logits."""
        if not torch.jit.is_scripting():
            check_sides(self, image, self.multiple)
            if self.training and self.taught:
                return self._lesson(image)  # type: ignore[return-value]
        logits = self._members(image)
        if self.stacking and self.combine == "stack":
            return self._stacked(logits)
        return self.verdict(logits)

    def _lesson(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return what those that learn say of ``image``."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.stacking):
            logits = self._members(image)
        pred = self._stacked(logits) if self.stacking else self.verdict(logits.detach())
        binary, multi = logits.chunk(2, 1)
        return {"pred": pred, "binary": binary, "multi": multi}

    def _stacked(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the logits that the stacking network makes of those of the members."""
        stacked = self.stacker(self.votes(logits))
        return stacked + self.mean(logits) if self.residual else stacked

    def _members(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of the binary members, then those of the common one, (B, 2 * classes, *spatial)."""
        logits: list[torch.Tensor] = []
        for member in self.binary:
            logits.append(member(image))
        logits.append(self.multi(image))
        return torch.cat(logits, 1)


class Votes(nn.Module):
    """Returns what the members' logits say together, each voxel for itself, in float32.

    Args:
        rule: ``"probabilities"`` leaves them side by side (B, 2 * classes, *spatial); ``"mean"`` and ``"backbone"``
            decide, see :class:`StackedUNets`.
    """

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Return probabilities, or log-probabilities of the classes."""
        # Half a precision would round what is nearly certain to certain.
        one_by_one, common = logits.float().chunk(2, 1)
        binary, multi = one_by_one.sigmoid(), common.softmax(1)
        if self.rule == "probabilities":
            return torch.cat([binary, multi], 1)
        if self.rule == "mean":
            return log_shares(shares(binary) + multi)
        # A product, not a choice, so that NaN stays NaN.
        others = binary[:, 1:] * (binary[:, 1:] > 0.5)
        return log_shares(torch.cat([binary[:, :1], others], 1))


def shares(weights: torch.Tensor) -> torch.Tensor:
    """Return ``weights`` (B, C, *spatial) of the classes, 0 or more, scaled to a sum of 1."""
    return weights / weights.sum(1, keepdim=True).clamp(min=1e-37)


def log_shares(weights: torch.Tensor) -> torch.Tensor:
    """Return the logarithms of the :func:`shares` of ``weights``, finite even for 0."""
    return shares(weights).clamp(min=1e-37).log()
