"""What every network of the house can do, whatever its architecture."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from rockmonai.networks import (
    EDSR,
    GammaFilter,
    LinearFilter,
    PatchDiscriminator,
    PixelDiscriminator,
    ResNetGenerator,
    ScalingUNet,
    SemSR,
    SRResNet,
    UNet,
    UNetGenerator,
    VGGDiscriminator,
)

SMALL = {"width": 4, "blocks": 2}

# name: (how to build it, input shape, output shape)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...]]] = {
    **{
        f"srresnet {dims}d x{scale} {upsampling}": (
            partial(SRResNet, dims, scale=scale, upsampling=upsampling, **SMALL),
            (2, 1, 8, 7, 6)[: dims + 2],
            (2, 1, 8 * scale, 7 * scale, 6 * scale)[: dims + 2],
        )
        for dims in (2, 3)
        for scale, upsampling in ((1, "stepwise"), (2, "stepwise"), (4, "stepwise"), (2, "direct"), (3, "direct"))
    },
    "srresnet 2d residual": (
        partial(SRResNet, 2, scale=3, upsampling="direct", final=None, residual=True, norm=None, **SMALL),
        (2, 1, 9, 6),
        (2, 1, 27, 18),
    ),
    "srresnet 3d residual": (
        partial(SRResNet, 3, scale=2, final=None, residual=True, norm=None, head_kernel=3, tail_kernel=3, **SMALL),
        (2, 1, 5, 6, 7),
        (2, 1, 10, 12, 14),
    ),
    "srresnet 3 to 2 channels": (partial(SRResNet, 2, 3, 2, dropout=0.1, **SMALL), (2, 3, 8, 8), (2, 2, 32, 32)),
    **{
        f"edsr {dims}d x{scale} {upsampling}": (
            partial(EDSR, dims, scale=scale, upsampling=upsampling, **({"activation": "prelu"} | options | SMALL)),
            (2, 1, 8, 7, 6)[: dims + 2],
            (2, 1, 8 * scale, 7 * scale, 6 * scale)[: dims + 2],
        )
        for dims, scale, upsampling, options in (
            (2, 1, "stepwise", {"tail_kernel": 1}),
            (2, 6, "stepwise", {"residual_scale": 0.1, "final": "tanh"}),
            (2, 4, "direct", {"expansion": 3, "residual": True}),
            (2, 5, "nearest", {}),
            (3, 3, "stepwise", {}),
            (3, 2, "direct", {"residual_scale": 0.1, "residual": True}),
            (3, 4, "nearest", {"activation": ("prelu", {"num_parameters": 4})}),
        )
    },
    "semsr 2d": (partial(SemSR, width=4, dropout=0.1), (2, 4, 8, 7), (2, 1, 32, 28)),
    "semsr 3d with depth": (
        partial(SemSR, 3, 2, 3, 2, 2, 4, (3, 5), norm=None, depth_channels=1),
        (2, 6, 6, 5, 7),
        (2, 2, 12, 10, 14),
    ),
    "resnet generator 2d": (partial(ResNetGenerator, dropout=0.1, **SMALL), (2, 1, 12, 8), (2, 1, 12, 8)),
    "resnet generator 3d": (partial(ResNetGenerator, 3, 2, 3, **SMALL), (2, 2, 8, 8, 12), (2, 3, 8, 8, 12)),
    "unet generator 2d": (partial(UNetGenerator, width=2, levels=7, dropout=0.1), (2, 1, 128, 256), (2, 1, 128, 256)),
    "unet generator 3d": (
        partial(UNetGenerator, 3, 2, 3, width=2, levels=3, final=None),
        (2, 2, 8, 16, 24),
        (2, 3, 8, 16, 24),
    ),
    "unet 2d": (partial(UNet, 2, 3, 4, width=2, dropout=0.1), (2, 3, 32, 48), (2, 4, 32, 48)),
    "unet 3d": (partial(UNet, 3, width=2, levels=2, norm=None), (2, 1, 8, 12, 16), (2, 4, 8, 12, 16)),
    **{
        f"scaling unet {dims}d {'coarser' if coarser else 'finer'} x{scale}": (
            partial(ScalingUNet, dims, width=8, scale=scale, coarser=coarser),
            (2, 1, *sides[:dims]),
            (2, 1, *(side // scale if coarser else scale * side for side in sides[:dims])),
        )
        for dims in (2, 3)
        for scale, coarser, sides in (
            (1, False, (8, 12, 8)),
            (2, False, (8, 12, 8)),
            (4, False, (4, 6, 8)),
            (2, True, (16, 24, 16)),
            (4, True, (32, 48, 32)),
        )
    },
    "scaling unet 2d batch norm residual": (
        partial(ScalingUNet, 2, width=2, scale=2, norm="batch", residual=True),
        (2, 1, 8, 12),
        (2, 1, 16, 24),
    ),
    "scaling unet 3d coarser instance norm residual": (
        partial(ScalingUNet, 3, 2, 2, width=2, scale=2, coarser=True, norm="instance", residual=True),
        (2, 2, 16, 16, 16),
        (2, 2, 8, 8, 8),
    ),
    "linear filter 2d": (partial(LinearFilter, 2, 2, 3), (2, 2, 8, 7), (2, 3, 8, 7)),
    "linear filter 3d": (partial(LinearFilter, 3, kernel=5), (2, 1, 8, 7, 6), (2, 1, 8, 7, 6)),
    "gamma filter 2d": (GammaFilter, (2, 1, 8, 7), (2, 1, 8, 7)),
    "gamma filter 3d": (partial(GammaFilter, 3, kernel=5), (2, 1, 8, 7, 6), (2, 1, 8, 7, 6)),
    "patch discriminator 2d": (partial(PatchDiscriminator, 2, channels=4), (2, 1, 32, 40), (2, 1, 2, 3)),
    "patch discriminator 3d": (partial(PatchDiscriminator, 3, 2, 4, 1, norm=None), (2, 2, 6, 8, 10), (2, 1, 1, 2, 3)),
    "pixel discriminator 2d": (partial(PixelDiscriminator, 2, channels=4), (2, 1, 5, 6), (2, 1, 5, 6)),
    "pixel discriminator 3d": (partial(PixelDiscriminator, 3, 2, 4, norm=None), (2, 2, 3, 4, 5), (2, 1, 3, 4, 5)),
    "vgg discriminator 2d": (partial(VGGDiscriminator, channels=4, dense=8), (2, 1, 33, 40), (2, 1)),
    "vgg discriminator 3d": (
        partial(VGGDiscriminator, 3, 2, 2, 8, norm=None, image_size=32),
        (2, 2, 32, 32, 32),
        (2, 1),
    ),
}


@pytest.fixture(params=NETWORKS, name="case")
def _case(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor, tuple[int, ...]]:
    torch.manual_seed(0)
    build, shape, expected = NETWORKS[request.param]
    return build(), torch.rand(shape), expected


def test_output_has_the_promised_shape(case):
    network, image, expected = case
    assert network(image).shape == expected


def test_every_parameter_learns(case):
    network, image, expected = case
    (network(image) * torch.rand(expected)).sum().backward()
    idle = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


def test_a_state_dict_carries_the_whole_network(case, request):
    network, image, _ = case
    network(image)  # moves the running statistics of batch norm
    twin = NETWORKS[request.node.callspec.params["case"]][0]()
    twin.load_state_dict(network.state_dict())
    assert torch.equal(twin.eval()(image), network.eval()(image))


def test_torchscript_computes_the_same(case):
    network, image, _ = case
    network.eval()
    torch.testing.assert_close(torch.jit.script(network)(image), network(image))


@pytest.mark.parametrize(
    "name",
    [
        "srresnet 2d x4 stepwise",
        "srresnet 3d x2 direct",
        "edsr 2d x5 nearest",
        "semsr 2d",
        "unet generator 2d",
        "unet 2d",
    ],
)
def test_onnx_computes_the_same(name, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    build, shape, _ = NETWORKS[name]
    network, image = build().eval(), torch.rand(shape)
    torch.onnx.export(network, (image,), tmp_path / "network.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    np.testing.assert_allclose(found, network(image).detach().numpy(), rtol=1e-4, atol=1e-6)
