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
from rockmonai.networks.filters import Gamma
from rockmonai.networks.stacked_unets import Votes

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
    Gamma,
    Votes,
    _DropoutNd,
    _BatchNorm,
)
_RULES: dict[type | tuple[type, ...], Callable[[Any, Piece], Piece]] = {
    # It takes no mixture of precisions.
    nn.PReLU: lambda layer, piece: piece.map(lambda values: layer(values.to(layer.weight.dtype))),
    _POINTWISE: lambda layer, piece: piece.map(layer),
    nn.Softmax: rules.softmax,
    _ConvTransposeNd: rules.transposed_convolution,
    _ConvNd: rules.convolution,
    (_MaxPoolNd, _AvgPoolNd): rules.pooling,
    SubpixelUpsample: rules.shuffling,
    SubpixelConvolution: rules.subpixel_convolution,
    nn.Upsample: rules.interpolation,
}
_FUNCTIONS = {
    add_to,
    operator.add,
    operator.iadd,
    torch.add,
    operator.mul,
    torch.mul,
    operator.sub,
    torch.sub,
    operator.gt,
    operator.le,
}


class Shrinking:
    """Applies a network to a `Piece` and returns the piece of its output that follows from it.

    Args:
        network: in evaluation mode; convolutions, poolings, pointwise layers, sums, products, comparisons, selected
            channels, concatenations, pixel shuffles and interpolations. It is copied and rewritten.

    Attributes:
        module: what it was rewritten to.

    Raises:
        UnknownLayer: if the network holds anything else, or cannot be traced.
    """

    def __init__(self, network: nn.Module) -> None:
        try:
            self.module = rewritten(network)
        except Exception as error:  # tracing runs the network's own code on a stand-in
            raise UnknownLayer(f"{type(network).__name__} cannot be traced ({error})") from error
        self._nodes = list(self.module.graph.nodes)
        for node in self._nodes:
            self._check(node)
        last_user = {operand: node for node in self._nodes for operand in node.all_input_nodes}
        self._done_after: dict[fx.Node, list[fx.Node]] = {}
        for operand, node in last_user.items():
            self._done_after.setdefault(node, []).append(operand)

    def run(self, piece: Piece) -> Piece:
        """Return the piece of the output that follows from a piece of the input; what is done with is freed at once."""
        known: dict[fx.Node, Any] = {}
        for node in self._nodes:
            args = fx.map_arg(node.args, known.__getitem__)
            if node.op == "output":
                return args[0]
            known[node] = piece if node.op == "placeholder" else self._apply(node, args)
            del args
            for operand in self._done_after.get(node, ()):
                del known[operand]
        raise AssertionError("a graph ends with its output")

    def _check(self, node: fx.Node) -> None:
        if node.op in ("placeholder", "output"):
            return
        if node.kwargs and node.target is not torch.cat:
            raise UnknownLayer(f"there is no rule for {node.target} with {', '.join(node.kwargs)}")
        if node.op == "call_module":
            layer = self.module.get_submodule(str(node.target))
            if _rule(layer) is None:
                raise UnknownLayer(f"there is no rule for {type(layer).__name__}")
        elif node.op != "call_function" or not (node.target in (*_FUNCTIONS, torch.cat) or _takes_channels(node)):
            raise UnknownLayer(f"there is no rule for {node.target}")

    def _apply(self, node: fx.Node, args: Any) -> Piece:
        """Return what a layer makes of a piece, or a function of several, where all of them are."""
        if node.op == "call_module":
            layer = self.module.get_submodule(str(node.target))
            rule = _rule(layer)
            assert rule is not None
            return rule(layer, *args)
        function: Any = node.target
        if function is torch.cat:
            return together(lambda *values: torch.cat(values, 1), args[0])
        pieces = [arg for arg in args if isinstance(arg, Piece)]
        if len(pieces) == 1:
            return pieces[0].map(lambda values: function(*(values if arg is pieces[0] else arg for arg in args)))
        return together(function, pieces)


def _takes_channels(node: fx.Node) -> bool:
    """Tell whether ``node`` is ``features[:, a:b]``, which leaves the voxels where they are."""
    if node.target is not operator.getitem:
        return False
    index = node.args[1]
    return isinstance(index, tuple) and [type(part) for part in index] == [slice, slice] and index[0] == slice(None)


def _rule(layer: nn.Module) -> Callable[[Any, Piece], Piece] | None:
    return next((rule for kind, rule in _RULES.items() if isinstance(layer, kind)), None)
