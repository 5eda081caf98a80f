"""What each kind of layer makes of a piece of an image: the part of its whole output that follows from the piece."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from monai.networks.blocks import SubpixelUpsample
from torch import nn

from rockmonai.inferers.pieces import Piece, UnknownLayer
from rockmonai.inferers.subpixel import SubpixelConvolution

_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MARGINS = {"linear": 0.5, "bilinear": 0.5, "trilinear": 0.5, "bicubic": 1.5}


def convolution(layer: nn.Conv3d, piece: Piece) -> Piece:
    """Return the valid convolution of a piece, padded at the border as ``layer`` pads."""
    # The layer keeps its padding as torch's own ``pad`` takes it, last axis first, whatever way it was given.
    after, before = layer._reversed_padding_repeated_twice[::-2], layer._reversed_padding_repeated_twice[-2::-2]
    if after != before or layer.padding_mode == "circular":
        raise UnknownLayer("a convolution pads unequally or with the opposite side of the image")
    padded = piece.padded(before, layer.padding_mode)
    return _window(padded, layer.kernel_size, layer.stride, layer.dilation, lambda values: convolve(values, layer))


def convolve(values: torch.Tensor, layer: nn.Conv3d) -> torch.Tensor:
    """Return the convolution of ``values`` (B, C, *spatial) with no padding, in the precision of the weights."""
    values = values.to(layer.weight.dtype)
    arguments = (values, layer.weight, layer.bias)
    if values.device.type == "cpu" and values.dtype == torch.float32 and torch.backends.mkldnn.is_available():
        # torch takes a small image (channels x depth x height <= 20480) to a convolution that is 7 times slower.
        padding = (0,) * len(layer.stride)
        return torch.mkldnn_convolution(*arguments, padding, layer.stride, layer.dilation, layer.groups)
    return _CONVOLVE[values.ndim - 2](*arguments, layer.stride, 0, layer.dilation, layer.groups)


def softmax(layer: nn.Softmax, piece: Piece) -> Piece:
    """Return the piece with its channels scaled to a sum of 1, voxel by voxel."""
    if layer.dim != 1:
        raise UnknownLayer("a softmax runs along another axis than the channels")
    return piece.map(layer)


def pooling(layer: nn.MaxPool2d | nn.MaxPool3d | nn.AvgPool2d | nn.AvgPool3d, piece: Piece) -> Piece:
    """Return the pooled piece."""
    dims = piece.values.ndim - 2
    kernel, stride, padding, dilation = (
        value if isinstance(value, tuple) else (value,) * dims
        for value in (layer.kernel_size, layer.stride, layer.padding, getattr(layer, "dilation", 1))
    )
    if layer.ceil_mode or any(padding):
        raise UnknownLayer("a pooling pads")
    return _window(piece, kernel, stride, dilation, layer)


def _window(
    piece: Piece,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    function: Callable[[torch.Tensor], torch.Tensor],
) -> Piece:
    """Return what a sliding window makes of a piece: a window begins at every multiple of the stride in the whole."""
    first = tuple(math.ceil(a / s) for a, s in zip(piece.start, stride, strict=True))
    begin = tuple(j * s for j, s in zip(first, stride, strict=True))
    values = function(piece.between(begin, piece.stop).values)
    whole = tuple(
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(piece.whole, kernel, stride, dilation, strict=True)
    )
    return Piece(values, first, whole)


def transposed_convolution(layer: nn.ConvTranspose3d, piece: Piece) -> Piece:
    """Return the transposed convolution of a piece, without the ends that a neighbour would add to."""
    stride, padding, extra = layer.stride, [int(width) for width in layer.padding], layer.output_padding
    reached = [d * (k - 1) + 1 for k, d in zip(layer.kernel_size, layer.dilation, strict=True)]
    overlap = [r - s for r, s in zip(reached, stride, strict=True)]
    if min(overlap) < 0:
        raise UnknownLayer("a transposed convolution leaves voxels out")
    values = _TRANSPOSED[piece.values.ndim - 2](
        piece.values.to(layer.weight.dtype), layer.weight, layer.bias, stride, 0, extra, layer.groups, layer.dilation
    )
    # Unpadded, voxel i of the piece begins at i * stride; the layer's padding then cuts the whole's two ends.
    start = tuple(a * s for a, s in zip(piece.start, stride, strict=True))
    whole = tuple(n * s + o + e for n, s, o, e in zip(piece.whole, stride, overlap, extra, strict=True))
    known = Piece(values, start, whole).trimmed(overlap, [o + e for o, e in zip(overlap, extra, strict=True)])
    part = known.between(
        [max(a, p) for a, p in zip(known.start, padding, strict=True)],
        [min(b, n - p) for b, n, p in zip(known.stop, whole, padding, strict=True)],
    )
    return Piece(
        part.values,
        tuple(a - p for a, p in zip(part.start, padding, strict=True)),
        tuple(n - 2 * p for n, p in zip(whole, padding, strict=True)),
    )


def is_plain(layer: SubpixelUpsample) -> bool:
    """Tell whether a pixel shuffle does nothing else: MONAI's may convolve before it and blur after it."""
    return isinstance(layer.conv_block, nn.Identity) and isinstance(layer.pad_pool, nn.Identity)


def shuffling(layer: SubpixelUpsample, piece: Piece) -> Piece:
    """Return the piece with its channels laid out on a finer grid."""
    if not is_plain(layer):
        raise UnknownLayer("a pixel shuffle convolves or blurs")
    return piece.finer(layer(piece.values), (layer.scale_factor,) * (piece.values.ndim - 2))


def interpolation(layer: nn.Upsample, piece: Piece) -> Piece:
    """Return the interpolated piece, without the ends whose neighbours are missing."""
    given = layer.scale_factor if isinstance(layer.scale_factor, tuple) else (layer.scale_factor,) * len(piece.start)
    factors = [int(factor) for factor in given if factor and float(factor).is_integer()]
    if layer.align_corners or len(factors) < len(given):
        raise UnknownLayer("an interpolation aligns the corners of the image, or has no integer factor")
    finer = piece.finer(layer(piece.values), factors)
    if layer.mode.startswith("nearest"):
        return finer
    # The first fine voxel lies 0.5 - 0.5 / factor coarse ones before the centre of the first coarse one.
    margin = [math.ceil(_MARGINS[layer.mode] * factor - 0.5) for factor in factors]
    return finer.trimmed(margin, margin)


def subpixel_convolution(layer: SubpixelConvolution, piece: Piece) -> Piece:
    """Return the fine image that the rewritten tail of a network makes of a coarse piece."""
    return layer.shuffled(convolution(layer.convolution, layer.padded(piece)), piece.whole)
