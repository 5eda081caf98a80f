"""Networks for images, applied to volumes: slice by slice along one axis, or along all three (2.5D)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from rockmonai.errors import DataError, UsageError
from rockmonai.volumes.blocks import in_words

AXES = {"z": 2, "y": 3, "x": 4}
"""Where the axes of a volume (B, C, Z, Y, X) stand."""

ORDERS = ("zyx", "yxz", "xzy")
"""The first, second and third axis of each pass of `Orthogonal`."""


class Slicewise(nn.Module):
    """Returns a volume whose slices perpendicular to one axis are what a 2D network makes of the slices of the input.

    It is a network for volumes: it reaches nothing along ``axis``, and refines only the other two.

    Args:
        network: for images, (B, C, rows, columns); its scale may be any integer.
        axis: ``"z"`` for slices (Y, X), ``"y"`` for slices (Z, X), ``"x"`` for slices (Z, Y).
        batch: number of slices that go through the network at once; memory grows with it.

    Shapes:
        ``(B, C, Z, Y, X)`` to ``(B, C', Z, k Y, k X)`` for ``axis="z"`` and a network of scale ``k``.

    Raises:
        UsageError: for another axis, or a network with convolutions that are not 2D.
        DataError: when called with anything but a batch of volumes.
    """

    def __init__(self, network: nn.Module, axis: str = "z", batch: int = 8) -> None:
        super().__init__()
        _check_axis(axis)
        _check_network(network)
        self.network, self.axis, self.batch = network, axis, batch

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """Return the volume that the network makes of ``volume``."""
        return apply_to_slices(self.network, volume, self.axis, self.batch)


class Orthogonal(nn.Module):
    """Returns the mean of three passes of a 2D network over a volume, one for each axis (2.5D).

    With ``scale=1`` a pass is :class:`Slicewise` along its axis. With a larger scale a pass refines all three axes, in
    the two steps of EDSRGAN's pseudo-3D mode (Wang et al., https://arxiv.org/abs/1907.07131): the network refines the
    slices perpendicular to the first axis; the third axis is shrunk back; the network refines the slices perpendicular
    to the second axis, now as coarse along both of their axes as those it was made for. The first axis is z, y and x in
    turn, the second and third follow cyclically. For a network that does not tell the two axes of a slice apart, the
    result turns with a volume whose axes are exchanged cyclically (with ``scale=1``, in any way). Two steps reach twice
    as far as the network.

    EDSRGAN shrinks with a bicubic kernel; this takes the mean over ``scale`` voxels, as a coarser detector does. The
    footprints of the coarse voxels meet without overlap, so that shrinking adds nothing to the reach, is the same in
    every tile and at every face, and undoes a repetition of voxels exactly; an antialiased bicubic kernel would see
    two coarse voxels on each side.

    Args:
        network: for images (B, C, rows, columns). With ``scale > 1`` it sees its own output, which must have the
            channels and grey values of its input.
        scale: the network's scale.
        batch: number of slices that go through the network at once; memory grows with it.

    Shapes:
        ``(B, C, Z, Y, X)`` to ``(B, C', scale Z, scale Y, scale X)``, with ``C' = C`` if ``scale > 1``.

    Raises:
        UsageError: for a network with convolutions that are not 2D, with another scale, or with unequal channels.
        DataError: when called with anything but a batch of volumes.
    """

    def __init__(self, network: nn.Module, scale: int = 1, batch: int = 8) -> None:
        super().__init__()
        _check_network(network)
        self.network, self.scale, self.batch = network, scale, batch

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """Return the mean of what the network makes of ``volume`` along each axis."""
        passes = (self._pass(volume, *axes) for axes in ORDERS)
        return reduce(torch.Tensor.add_, passes).div_(3)

    def _pass(self, volume: torch.Tensor, first: str, second: str, third: str) -> torch.Tensor:
        if self.scale == 1:
            return apply_to_slices(self._refined, volume, first, self.batch)
        footprint = [self.scale if axis == third else 1 for axis in AXES if axis != first]
        shrunk = partial(self._refined_and_shrunk, footprint=footprint)
        return apply_to_slices(self._refined, apply_to_slices(shrunk, volume, first, self.batch), second, self.batch)

    def _refined_and_shrunk(self, slices: torch.Tensor, footprint: list[int]) -> torch.Tensor:
        fine = self._refined(slices)
        if fine.shape[1] != slices.shape[1]:
            raise UsageError(
                f"A network that refines three axes in two steps sees its own output; found {slices.shape[1]} channels "
                f"in and {fine.shape[1]} out: choose Slicewise, or a network with equal channels."
            )
        return F.avg_pool2d(fine, footprint)

    def _refined(self, slices: torch.Tensor) -> torch.Tensor:
        fine = self.network(slices)
        expected = [self.scale * side for side in slices.shape[2:]]
        if list(fine.shape[2:]) != expected:
            raise UsageError(
                f"At scale {self.scale} a slice of {in_words(slices.shape[2:])} becomes {in_words(expected)}, but the "
                f"network returned {in_words(fine.shape[2:])}: set scale to the network's."
            )
        return fine


def apply_to_slices(
    network: Callable[[torch.Tensor], torch.Tensor], volume: torch.Tensor, axis: str, batch: int
) -> torch.Tensor:
    """Return ``volume`` (B, C, Z, Y, X) with ``network`` applied to ``batch`` slices perpendicular to ``axis`` a time.

    Raises:
        UsageError: for an axis that is not z, y or x.
        DataError: when ``volume`` is not a batch of volumes.
    """
    slices = to_slices(volume, axis)
    return from_slices(torch.cat([network(some) for some in slices.split(batch)]), axis, len(volume))


def to_slices(volume: torch.Tensor, axis: str) -> torch.Tensor:
    """Return the n slices of each of B volumes as B * n images: a view for one volume, or one channel.

    Args:
        volume: (B, C, Z, Y, X).
        axis: the one that the slices are perpendicular to.

    Returns:
        (B * Z, C, Y, X) for ``"z"``, (B * Y, C, Z, X) for ``"y"``, (B * X, C, Z, Y) for ``"x"``.

    Raises:
        UsageError: for an axis that is not z, y or x.
        DataError: when ``volume`` is not a batch of volumes.
    """
    _check_axis(axis)
    if volume.ndim != 5:
        raise DataError(
            f"Slices are taken from volumes (B, C, Z, Y, X), found an array of {in_words(volume.shape)}: "
            "apply the 2D network itself to images."
        )
    return volume.movedim(AXES[axis], 1).flatten(0, 1)


def from_slices(slices: torch.Tensor, axis: str, batch: int) -> torch.Tensor:
    """Return ``batch`` volumes (B, C, Z, Y, X), a view of their ``slices`` in the order of :func:`to_slices`.

    Raises:
        UsageError: for an axis that is not z, y or x.
    """
    _check_axis(axis)
    return slices.unflatten(0, (batch, -1)).movedim(1, AXES[axis])


def _check_axis(axis: str) -> None:
    if axis not in AXES:
        raise UsageError(f"Slices are perpendicular to 'z', 'y' or 'x', not to {axis!r}.")


def _check_network(network: nn.Module) -> None:
    # A 3D convolution would take a stack of slices for one unbatched volume, and might not even complain.
    for layer in network.modules():
        if isinstance(layer, _ConvNd) and len(layer.kernel_size) != 2:
            raise UsageError(
                f"Slices need a network of spatial_dims=2, found a {type(layer).__name__} in "
                f"{type(network).__name__}: apply the network to the volume itself."
            )
