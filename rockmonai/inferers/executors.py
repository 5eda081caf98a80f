"""Ways of applying a network to a piece of a volume, each exact where the piece reaches far enough."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from rockmonai.engines.precision import autocast
from rockmonai.errors import first_line
from rockmonai.inferers.pieces import Piece, UnknownLayer, together
from rockmonai.inferers.rules import pooling
from rockmonai.inferers.shrinking import Shrinking
from rockmonai.inferers.slicewise import AXES, ORDERS, Orthogonal, Slicewise, from_slices, to_slices
from rockmonai.inferers.symmetrised import Mean, Symmetrised, turned_piece
from rockmonai.transforms.symmetry import Symmetry

logger = logging.getLogger("rockmonai")

Executor = Callable[[Piece], Piece]


def padding(network: nn.Module, dtype: torch.dtype | None = None) -> Executor:
    """Return the network as it is: every layer pads the piece at all sides, and a halo of the reach is wrong after it.

    Args:
        network: in evaluation mode.
        dtype: of autocast; None for float32.
    """

    def execute(piece: Piece) -> Piece:
        with autocast(dtype, piece.values.device):
            output = network(piece.values)
        factors = [fine // coarse for fine, coarse in zip(output.shape[2:], piece.values.shape[2:], strict=True)]
        return piece.finer(output, factors)

    return execute


def shrinking(network: nn.Module, dtype: torch.dtype | None = None) -> Executor:
    """Return the network with its inner padding taken out: what it returns of a piece is right to the last voxel.

    Convolutions run in ``dtype`` with their channels last; the image itself, and what is added to it at the end, stay
    in float32.

    Args:
        network: in evaluation mode; it is copied.
        dtype: of the convolutions; None for float32.

    Raises:
        UnknownLayer: if the network has layers without a rule.
    """
    if isinstance(network, Slicewise):
        return _on_slices(shrinking(network.network, dtype), network.axis, network.batch)
    if isinstance(network, Orthogonal):
        return _orthogonal(shrinking(network.network, dtype), network.scale, network.batch)
    if isinstance(network, Symmetrised):
        return _symmetrised(shrinking(network.network, dtype), network.group, network.mean)
    interpreter = Shrinking(network)
    for layer in interpreter.module.modules():
        if isinstance(layer, _ConvNd):
            layer.to(memory_format=_channels_last(layer.weight.ndim))  # type: ignore[call-overload]
        if isinstance(layer, _ConvNd | nn.PReLU) and dtype is not None:
            layer.to(dtype)

    def execute(piece: Piece) -> Piece:
        values = piece.values.contiguous(memory_format=_channels_last(piece.values.ndim))
        return interpreter.run(replace(piece, values=values))

    return execute


def fastest(network: nn.Module, example: torch.Tensor, dtype: torch.dtype | None = None) -> Executor:
    """Return `shrinking` execution where every layer has a rule and the result is the network's, else `padding`.

    Args:
        network: in evaluation mode.
        example: a small input (1, C, *spatial) to compare the two on: tracing may take another branch than running.
        dtype: of the convolutions; None for float32.
    """
    try:
        spatial = tuple(example.shape[2:])
        full = shrinking(network)
        traced = full(Piece(example, (0,) * len(spatial), spatial)).values
        expected = network(example)
        if traced.shape != expected.shape or not torch.allclose(
            traced, expected, rtol=1e-3, atol=1e-3 * expected.std()
        ):
            raise UnknownLayer("what was traced of it computes something else")
        return full if dtype is None else shrinking(network, dtype)
    except (UnknownLayer, RuntimeError) as reason:
        logger.info(
            "%s: the halo of a block is computed whole in every layer (%s)", type(network).__name__, first_line(reason)
        )
        return padding(network, dtype)


def _on_slices(executor: Executor, axis: str, batch: int) -> Executor:
    """Return an executor of volumes that applies one of images to the slices perpendicular to ``axis``."""
    place = AXES[axis] - 2

    def execute(piece: Piece) -> Piece:
        start, whole = (part[:place] + part[place + 1 :] for part in (piece.start, piece.whole))
        parts = [executor(Piece(some, start, whole)) for some in to_slices(piece.values, axis).split(batch)]
        values = from_slices(torch.cat([part.values for part in parts]), axis, len(piece.values))
        return Piece(
            values,
            (*parts[0].start[:place], piece.start[place], *parts[0].start[place:]),
            (*parts[0].whole[:place], piece.whole[place], *parts[0].whole[place:]),
        )

    return execute


def _orthogonal(executor: Executor, scale: int, batch: int) -> Executor:
    """Return the mean over three directions; in each, an axis is refined twice and shrunk once (see `Orthogonal`)."""

    def shrunk(footprint: tuple[int, int]) -> Executor:
        pool = nn.AvgPool2d(footprint)
        return lambda piece: pooling(pool, executor(piece))

    def directed(first: str, second: str, third: str) -> Executor:
        if scale == 1:
            return _on_slices(executor, first, batch)
        rows, columns = (scale if axis == third else 1 for axis in AXES if axis != first)
        once, twice = _on_slices(shrunk((rows, columns)), first, batch), _on_slices(executor, second, batch)
        return lambda piece: twice(once(piece))

    ways = [directed(*axes) for axes in ORDERS]

    def execute(piece: Piece) -> Piece:
        total = ways[0](piece)
        for way in ways[1:]:
            total = together(torch.add, [total, way(piece)])
        return total.map(lambda values: values / len(ways))

    return execute


def _symmetrised(executor: Executor, group: Sequence[Symmetry], mean: Mean) -> Executor:
    """Return the ``mean`` over a ``group`` of symmetries (see `Symmetrised`)."""

    def seen(piece: Piece, symmetry: Symmetry) -> Piece:
        return turned_piece(executor(turned_piece(piece, symmetry)).map(mean.seen), symmetry.inverse())

    def execute(piece: Piece) -> Piece:
        total = seen(piece, group[0])
        for symmetry in group[1:]:
            total = together(mean.add, [total, seen(piece, symmetry)])
        return total.map(lambda values: mean.of_sum(values, len(group)))

    return execute


def _channels_last(ndim: int) -> torch.memory_format:
    return torch.channels_last_3d if ndim == 5 else torch.channels_last
