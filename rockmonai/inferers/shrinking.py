"""A network that is applied to a piece of an image without padding inside: the halo is consumed layer by layer.

A network that pads every layer computes its whole halo in every layer, only to throw it away at the end. Here each
layer computes what the next ones can still use: the same weights, the same result, and of the recomputation only what
geometry demands.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from monai.networks.blocks import SubpixelUpsample
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.pooling import _AvgPoolNd, _MaxPoolNd

from rockmonai.inferers import rules
from rockmonai.inferers.pieces import Piece, UnknownLayer, together
from rockmonai.inferers.rewriting import add_to, rewritten
from rockmonai.inferers.subpixel import SubpixelConvolution


# A layer whose output voxel depends on the voxel at the same place alone.
_POINTWISE = (
    nn.Identity,
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softplus,
    nn.Hardtanh,
    _DropoutNd,
    _BatchNorm,
)
_RULES: dict[type | tuple[type, ...], Callable[[Any, Piece], Piece]] = {
    # It takes no mixture of precisions.
    nn.PReLU: lambda layer, piece: piece.map(lambda values: layer(values.to(layer.weight.dtype))),
    _POINTWISE: lambda layer, piece: piece.map(layer),
    _ConvTransposeNd: rules.transposed_convolution,
    _ConvNd: rules.convolution,
    (_MaxPoolNd, _AvgPoolNd): rules.pooling,
    SubpixelUpsample: rules.shuffling,
    SubpixelConvolution: rules.subpixel_convolution,
    nn.Upsample: rules.interpolation,
}
_FUNCTIONS = {add_to, operator.add, operator.iadd, torch.add, operator.mul, torch.mul, operator.sub, torch.sub}


class Shrinking(fx.Interpreter):
    """Applies a network to a `Piece` and returns the piece of its output that follows from it.

    Args:
        network: in evaluation mode; convolutions, poolings, pointwise layers, sums, products, concatenations, pixel
            shuffles and interpolations. It is copied and rewritten.

    Raises:
        UnknownLayer: if the network holds anything else, or cannot be traced.
    """

    def __init__(self, network: nn.Module) -> None:
        try:
            super().__init__(rewritten(network))
        except Exception as error:  # tracing runs the network's own code on a stand-in
            raise UnknownLayer(f"{type(network).__name__} cannot be traced ({error})") from error
        for node in self.module.graph.nodes:
            self._check(node)

    def _check(self, node: fx.Node) -> None:
        if node.op in ("placeholder", "output"):
            return
        if node.kwargs and node.target is not torch.cat:
            raise UnknownLayer(f"there is no rule for {node.target} with {', '.join(node.kwargs)}")
        if node.op == "call_module":
            layer = self.module.get_submodule(str(node.target))
            if _rule(layer) is None:
                raise UnknownLayer(f"there is no rule for {type(layer).__name__}")
        elif not (node.op == "call_function" and (node.target in _FUNCTIONS or node.target is torch.cat)):
            raise UnknownLayer(f"there is no rule for {node.target}")

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Piece:
        """Return what a layer makes of a piece."""
        layer = self.fetch_attr(target)
        rule = _rule(layer)
        assert rule is not None and not kwargs
        return rule(layer, *args)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what a function makes of pieces, where all of them are."""
        if target is torch.cat:
            return together(lambda *values: torch.cat(values, 1), args[0])
        if target is operator.iadd:
            target = operator.add  # the piece may be a view of the image itself
        pieces = [arg for arg in args if isinstance(arg, Piece)]
        if len(pieces) == 1:
            return pieces[0].map(lambda values: target(*(values if arg is pieces[0] else arg for arg in args)))
        return together(target, pieces)


def _rule(layer: nn.Module) -> Callable[[Any, Piece], Piece] | None:
    return next((rule for kind, rule in _RULES.items() if isinstance(layer, kind)), None)
