"""What has to be done to a trained network before it is applied to a scan: slices for 2D ones, norms made local."""

from __future__ import annotations

import logging
import math

from torch import nn
from torch.nn.modules.conv import _ConvNd

from rockmonai.data.scan import Scan, check_dimensions
from rockmonai.engines.precision import full_products
from rockmonai.errors import DataError, UsageError
from rockmonai.inferers.footprint import footprint
from rockmonai.inferers.frozen_statistics import freeze_statistics, measures_its_input
from rockmonai.inferers.magnified import magnified, whole_steps
from rockmonai.inferers.slicewise import Orthogonal, Slicewise, to_slices
from rockmonai.transforms.magnification import magnification
from rockmonai.volumes.blocks import in_words

logger = logging.getLogger("rockmonai")

# Norm statistics are measured on so many pieces with about so many voxels a side.
_SAMPLES = 8
_SIDE = {2: 512, 3: 96}


def fit_for(
    scan: Scan,
    network: nn.Module,
    spatial_dims: int,
    slicewise: str | None = None,
    pixel_size: float | None = None,
) -> nn.Module:
    """Return ``network`` such that it can be applied to ``scan`` block by block.

    A network whose norms measure the image they see (instance norm, group norm) would see another image in every
    block: its statistics are measured first, on pieces from everywhere in the scan, and then stay.

    Args:
        scan: what it is for.
        network: with its weights, on its device; it stays as it is.
        spatial_dims: of the network, 2 or 3.
        slicewise: how a 2D network is applied to a volume: ``"z"``, ``"y"`` or ``"x"`` for the slices perpendicular to
            that axis, each for itself; ``"zyx"`` for the mean over the three directions, which for a network that
            refines its image refines all three axes. None where network and scan have the same dimensions.
        pixel_size: micrometres that the network knows; a scan whose voxels are much larger or smaller is magnified or
            reduced on the way in, and the prediction back, as `Magnified` does. None takes the scan as it is.

    Raises:
        DataError: if the scan has other dimensions or channels than the network.
        UsageError: for another ``slicewise``, or one with a 3D network.
    """
    if slicewise is not None and (slicewise not in ("z", "y", "x", "zyx") or spatial_dims != 2):
        raise UsageError(
            f"slicewise is {slicewise!r} for a {spatial_dims}D model; a 2D one takes z, y, x, zyx or null."
        )
    check_dimensions(scan, spatial_dims, slicewise)
    first = next((layer.in_channels for layer in network.modules() if isinstance(layer, _ConvNd)), scan.channels)
    expected = getattr(network, "in_channels", first)
    if scan.channels != expected:
        raise DataError(
            f"{scan.path} has {scan.channels} channels, the model expects {expected}; give it a scan with {expected}."
        )
    network = _magnified(scan, network.eval(), spatial_dims, pixel_size)
    if measures_its_input(network):
        network = _frozen(network, scan, slicewise)
    if slicewise is None:
        return network
    if slicewise == "zyx":
        return Orthogonal(network, footprint(network, 2, scan.channels).scale[0])
    return Slicewise(network, slicewise)


def _magnified(scan: Scan, network: nn.Module, spatial_dims: int, pixel_size: float | None) -> nn.Module:
    ratio = magnification(scan.spacing, pixel_size)
    fitting = magnified(network, spatial_dims, ratio)
    if scan.spacing is None and pixel_size is not None:
        logger.warning(
            "%s does not say its pixel size: it is taken for the %g µm of what the network was trained on.",
            scan.path,
            pixel_size,
        )
    elif fitting is not network:
        grow, shrink = whole_steps(ratio)
        ways = f"magnified {grow} times" if grow > 1 else f"reduced {shrink} times"
        logger.info("%s is %s for the network, which knows pixels of %g µm", scan.path, ways, pixel_size)
    return fitting


def _frozen(network: nn.Module, scan: Scan, slicewise: str | None) -> nn.Module:
    axis = slicewise[0] if slicewise else ""
    dims = 2 if axis else scan.spatial_dims
    multiple = getattr(network, "multiple", None) or footprint(network, dims, scan.channels).smallest[0]
    names = "zyx"[-scan.spatial_dims :]
    sides = [1 if name == axis else _side(n, dims, multiple) for name, n in zip(names, scan.shape, strict=True)]
    device = next(network.parameters()).device
    samples = [sample.to(device) for sample in scan.samples(_SAMPLES, sides)]
    logger.warning(
        "%s normalises by the mean and variance of the image it sees, which would differ from block to block: they "
        "were measured once, on %d pieces of %s voxels, and stay the same for the whole scan.",
        type(network).__name__,
        len(samples),
        in_words(samples[0].shape[2:]),
    )
    with full_products():
        return freeze_statistics(network, [to_slices(sample, axis) for sample in samples] if axis else samples)


def _side(length: int, dims: int, multiple: int) -> int:
    """Return how many voxels of a scan's ``length`` a sample takes: what the network accepts, mirrored if need be."""
    return min(max(_SIDE[dims] // multiple, 1), math.ceil(length / multiple)) * multiple
