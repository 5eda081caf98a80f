"""Exact rewrites of a trained network before it is applied: fewer layers, better shapes, the same function."""

from __future__ import annotations

import copy
import operator
from typing import Any

import torch
from monai.networks.blocks import SubpixelUpsample
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rockmonai.inferers.rules import is_plain
from rockmonai.inferers.subpixel import SubpixelConvolution
from rockmonai.networks.filters import Gamma
from rockmonai.networks.stacked_unets import Votes

_SAME_EVERYWHERE = (nn.Identity, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.PReLU)


class Tracer(fx.Tracer):
    """Takes a network apart into torch's layers, pixel shuffles, grey curves and votes."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Tell whether ``m`` is one layer rather than a block of layers."""
        return isinstance(m, SubpixelUpsample | Gamma | Votes) or super().is_leaf_module(m, module_qualified_name)


def rewritten(network: nn.Module) -> fx.GraphModule:
    """Return a copy of ``network`` (in evaluation mode) that computes the same with less work.

    Batch norm is folded into the convolution before it, a thin convolution after a pixel shuffle is done before it (see
    `SubpixelConvolution`), and activations and sums are written over what a convolution has just made.

    Raises:
        Exception: whatever the network's own code says to being traced.
    """
    # A chain calls it with the image alone: of what else it could be given, it takes its own defaults.
    chain = nn.Sequential(copy.deepcopy(network).eval())
    traced = fx.GraphModule(chain, Tracer().trace(chain))
    for node in list(traced.graph.nodes):
        _fold_norm(traced, node)
    for node in list(traced.graph.nodes):
        _move_tail(traced, node)
    for node in traced.graph.nodes:
        _overwrite(traced, node)
    traced.graph.lint()
    traced.recompile()
    return traced


def _fold_norm(traced: fx.GraphModule, node: fx.Node) -> None:
    norm, before = _layer(traced, node), _first(node)
    convolution = _layer(traced, before)
    if (
        isinstance(norm, _BatchNorm)
        and norm.track_running_stats
        and isinstance(convolution, _ConvNd)
        and _alone(before)
    ):
        transposed = isinstance(convolution, _ConvTransposeNd)
        if transposed and convolution.groups > 1:  # torch folds the channels of one group into all
            return
        traced.add_submodule(str(before.target), fuse_conv_bn_eval(convolution, norm, transpose=transposed))
        node.replace_all_uses_with(before)
        traced.graph.erase_node(node)


def _move_tail(traced: fx.GraphModule, node: fx.Node) -> None:
    """Bring ``shuffle, activation..., convolution`` into the order ``activation..., convolution and shuffle``."""
    shuffle = _layer(traced, node)
    if not isinstance(shuffle, SubpixelUpsample) or not is_plain(shuffle):
        return
    last = node
    while _alone(last):
        (user,) = last.users
        layer = _layer(traced, user)
        if SubpixelConvolution.replaces(layer, shuffle.scale_factor):
            traced.add_submodule(str(user.target), SubpixelConvolution(layer, shuffle.scale_factor))
            node.replace_all_uses_with(_first(node))
            traced.graph.erase_node(node)
            return
        if not isinstance(layer, _SAME_EVERYWHERE) or (isinstance(layer, nn.PReLU) and layer.num_parameters > 1):
            return
        last = user


def add_to(own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the sum, in the memory of ``own`` where that holds it."""
    return own.add_(other) if own.dtype == torch.promote_types(own.dtype, other.dtype) else own + other


def _overwrite(traced: fx.GraphModule, node: fx.Node) -> None:
    """Let an activation or a sum write over its operand if nothing else reads it."""
    layer = _layer(traced, node)
    if isinstance(layer, nn.PReLU | nn.ReLU | nn.LeakyReLU) and _is_fresh(traced, node.args[0]):
        if isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
            layer = nn.LeakyReLU(0.0 if layer.weight.is_meta else layer.weight.item())
        if not isinstance(layer, nn.PReLU):
            layer.inplace = True
            traced.add_submodule(str(node.target), layer)
    elif node.target in (operator.add, operator.iadd, torch.add) and not node.kwargs:
        one, two = node.args
        for own, other in ((one, two), (two, one)):
            if _is_fresh(traced, own) and isinstance(other, fx.Node) and other is not own:
                node.target, node.args = add_to, (own, other)
                return


def _is_fresh(traced: fx.GraphModule, node: Any) -> bool:
    """Tell whether ``node`` is a tensor that a convolution has just made, for one reader."""
    layer = _layer(traced, node)
    if isinstance(layer, nn.LeakyReLU | nn.ReLU) and layer.inplace:
        return _alone(node) and _is_fresh(traced, _first(node))
    return isinstance(layer, _ConvNd | SubpixelConvolution) and _alone(node)


def _alone(node: fx.Node) -> bool:
    """Tell whether only one other layer uses what ``node`` computes."""
    return len(node.users) == 1


def _first(node: fx.Node) -> Any:
    """Return what computes the first operand."""
    return node.args[0] if node.args else None


def _layer(traced: fx.GraphModule, node: Any) -> Any:
    """Return the layer that ``node`` calls, None if it calls none or one that others call as well."""
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return None
    calls = traced.graph.find_nodes(op="call_module", target=node.target)
    return traced.get_submodule(str(node.target)) if len(calls) == 1 else None
