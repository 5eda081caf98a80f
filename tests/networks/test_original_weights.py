"""Networks written anew in plain torch, layer by layer in the order and under the names of the published code."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from rockmonai.errors import ModelError
from rockmonai.networks import (
    GammaFilter,
    LinearFilter,
    PatchDiscriminator,
    PixelDiscriminator,
    ResNetGenerator,
    SRResNet,
    UNet,
    UNetGenerator,
    renamed_weights,
)

NORMS = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}


class Model(nn.Module):
    """Layers under ``model``; ``join`` says what becomes of the input."""

    def __init__(self, *layers: nn.Module, join: str = "") -> None:
        super().__init__()
        self.model, self.join = nn.Sequential(*layers), join

    def forward(self, x):
        y = self.model(x)
        return torch.cat([x, y], 1) if self.join == "cat" else x + y if self.join == "add" else y


def block(width, norm, activation):
    bias = norm == "instance"
    return Model(
        nn.ReflectionPad2d(1),
        nn.Conv2d(width, width, 3, bias=bias),
        NORMS[norm](width),
        activation(),
        nn.Dropout(0.5),
        nn.ReflectionPad2d(1),
        nn.Conv2d(width, width, 3, bias=bias),
        NORMS[norm](width),
        join="add",
    )


def resnet(blocks, norm="batch", width=2):
    bias, normalised = norm == "instance", NORMS[norm]
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(1, width, 7, bias=bias), normalised(width), nn.ReLU()]
    for channels in (width, 2 * width):
        layers += [nn.Conv2d(channels, 2 * channels, 3, 2, 1, bias=bias), normalised(2 * channels), nn.ReLU()]
    layers += [block(4 * width, norm, nn.ReLU) for _ in range(blocks)]
    for channels in (4 * width, 2 * width):
        up = nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, output_padding=1, bias=bias)
        layers += [up, normalised(channels // 2), nn.ReLU()]
    return Model(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 1, 7), nn.Tanh())


def unet(levels, norm="batch", width=2):
    bias, normalised = norm == "instance", NORMS[norm]
    wide = 8 * width

    def level(outer, inner, below, *dropout):
        return Model(
            nn.LeakyReLU(0.2),
            nn.Conv2d(outer, inner, 4, 2, 1, bias=bias),
            normalised(inner),
            below,
            nn.ReLU(),
            nn.ConvTranspose2d(2 * inner, outer, 4, 2, 1, bias=bias),
            normalised(outer),
            *dropout,
            join="cat",
        )

    below = Model(
        nn.LeakyReLU(0.2),
        nn.Conv2d(wide, wide, 4, 2, 1, bias=bias),
        nn.ReLU(),
        nn.ConvTranspose2d(wide, wide, 4, 2, 1, bias=bias),
        normalised(wide),
        join="cat",
    )
    for _ in range(levels - 5):
        below = level(wide, wide, below, nn.Dropout(0.5))
    for outer in (4 * width, 2 * width, width):
        below = level(outer, 2 * outer, below)
    first = nn.Conv2d(1, width, 4, 2, 1, bias=bias)
    return Model(Model(first, below, nn.ReLU(), nn.ConvTranspose2d(2 * width, 1, 4, 2, 1), nn.Tanh()))


class PlainSRResNet(nn.Module):
    def __init__(self, doublings, width=2):
        super().__init__()
        self.head = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(1, width, 9, bias=False), nn.PReLU())
        end = (nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width))
        self.body = nn.Sequential(*(block(width, "batch", nn.PReLU) for _ in range(3)), *end)
        step = lambda: (nn.Conv2d(width, 4 * width, 3, padding=1, bias=False), nn.PixelShuffle(2), nn.PReLU())  # noqa: E731
        steps = [layer for _ in range(doublings) for layer in step()]
        self.tail = nn.Sequential(*steps, nn.ReflectionPad2d(3), nn.Conv2d(width, 1, 7), nn.Tanh())

    def forward(self, x):
        x = self.head(x)
        return self.tail(x + self.body(x))


class PlainGamma(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 15, padding=7)
        self.exponent = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return self.conv((x + 1e-16) ** self.exponent)


def convolutions(inside, between, outside):
    layers = []
    for a, b in ((inside, between), (between, outside)):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers)


class PlainUNet(nn.Module):
    """Four levels, one after the other, whose interpolation aligns the corners."""

    def __init__(self, channels, classes, width=2):
        super().__init__()
        self.inc = convolutions(channels, width, width)
        self.down1 = convolutions(width, 2 * width, 2 * width)
        self.down2 = convolutions(2 * width, 4 * width, 4 * width)
        self.down3 = convolutions(4 * width, 8 * width, 8 * width)
        self.down4 = convolutions(8 * width, 8 * width, 8 * width)
        self.up1 = convolutions(16 * width, 8 * width, 4 * width)
        self.up2 = convolutions(8 * width, 4 * width, 2 * width)
        self.up3 = convolutions(4 * width, 2 * width, width)
        self.up4 = convolutions(2 * width, width, width)
        self.outc = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        one = self.inc(x)
        two = self.down1(F.max_pool2d(one, 2))
        three = self.down2(F.max_pool2d(two, 2))
        four = self.down3(F.max_pool2d(three, 2))
        x = self.up1(joined(four, self.down4(F.max_pool2d(four, 2))))
        x = self.up2(joined(three, x))
        x = self.up3(joined(two, x))
        return self.outc(self.up4(joined(one, x)))


def joined(fine, coarse):
    size = fine.shape[2:]
    return torch.cat([fine, F.interpolate(coarse, size, mode="bilinear", align_corners=True)], 1)


def patchgan(channels, width=2):
    layers = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for inside, stride in ((width, 2), (2 * width, 2), (4 * width, 1)):
        layers += [nn.Conv2d(inside, 2 * inside, 4, stride, 1, bias=False), nn.BatchNorm2d(2 * inside)]
        layers += [nn.LeakyReLU(0.2)]
    return Model(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))


def pixelgan(width=2):
    wide = nn.Conv2d(width, 2 * width, 1, bias=False)
    first = (nn.Conv2d(1, width, 1), nn.LeakyReLU(0.2))
    return Model(*first, wide, nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2), nn.Conv2d(2 * width, 1, 1, bias=False))


# name: (the published layers, our network, side and channels of an image)
PAIRS = {
    "resnet_9blocks": (resnet(9), ResNetGenerator(width=2, dropout=0.5), 24, 1),
    "resnet_6blocks": (resnet(6), ResNetGenerator(width=2, blocks=6), 24, 1),
    "resnet_6blocks instance": (resnet(6, "instance"), ResNetGenerator(width=2, blocks=6, norm="instance"), 24, 1),
    "unet_128": (unet(7), UNetGenerator(width=2, levels=7, dropout=0.5), 128, 1),
    "unet_256": (unet(8), UNetGenerator(width=2), 256, 1),
    "unet_256 instance": (unet(8, "instance"), UNetGenerator(width=2, norm="instance"), 256, 1),
    "sr_resnet x2": (PlainSRResNet(1), SRResNet(width=2, blocks=3, scale=2), 12, 1),
    "sr_resnet x4": (PlainSRResNet(2), SRResNet(width=2, blocks=3, scale=4, dropout=0.5), 12, 1),
    "binary U-Net": (PlainUNet(3, 1), UNet(2, 3, 1, width=2, align_corners=True), 48, 3),
    "multi-class U-Net": (PlainUNet(8, 4), UNet(2, 8, 4, width=2, dropout=0.5, align_corners=True), 48, 8),
    "linear filter": (nn.Conv2d(1, 1, 15, padding=7), LinearFilter(), 20, 1),
    # With another exponent the published one has no value for greys below the middle of [-1, 1].
    "gamma filter": (PlainGamma(), GammaFilter(), 20, 1),
    "patchgan": (patchgan(1), PatchDiscriminator(channels=2), 64, 1),
    "patchgan with condition": (patchgan(4), PatchDiscriminator(in_channels=4, channels=2), 64, 4),
    "pixelgan": (pixelgan(), PixelDiscriminator(channels=2), 8, 1),
}


def trained(network):
    """Return ``network`` with weights, biases, slopes and statistics as a training leaves them, none like another."""
    torch.manual_seed(0)
    for layer in network.modules():
        for name, weight in layer.named_parameters(recurse=False):
            if weight.ndim > 1:
                nn.init.kaiming_normal_(weight, a=0.5)
            elif name != "exponent":
                nn.init.uniform_(weight, 0.1, 0.9)
        if isinstance(layer, _BatchNorm):
            nn.init.uniform_(layer.running_mean, -0.3, 0.3)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("name", PAIRS)
@torch.no_grad()
def test_published_weights_give_the_published_image(name):
    plain, ours, side, channels = PAIRS[name]
    plain, image = trained(plain), torch.rand(1, channels, side, side) * 2 - 1
    ours.load_state_dict(renamed_weights(plain.state_dict(), ours))
    expected = plain(image)
    assert expected.std() > 1e-3
    torch.testing.assert_close(ours.eval()(image), expected, rtol=1e-5, atol=1e-5)


OLD = trained(resnet(2))


@pytest.mark.parametrize(
    "file",
    [
        OrderedDict((f"module.{name}", tensor) for name, tensor in OLD.state_dict().items()),
        {name: tensor for name, tensor in OLD.state_dict().items() if "num_batches" not in name},
        {"epoch": 7, "state_dict": OLD.state_dict()},
    ],
    ids=["of several GPUs", "of an old torch", "wrapped"],
)
@torch.no_grad()
def test_files_of_other_habits(file):
    network, image = ResNetGenerator(width=2, blocks=2), torch.rand(1, 1, 16, 16)
    network.load_state_dict(renamed_weights(file, network))
    torch.testing.assert_close(network.eval()(image), OLD(image))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (
            trained(resnet(2, width=3)).state_dict(),
            r"'model.1.weight' is a weight of \(3, 1, 7, 7\) in the file and 'head.0.weight' is a weight of \(2,",
        ),
        (
            trained(resnet(3)).state_dict(),
            "they have 57 tensors and this ResNetGenerator 47.*'model.12.model.1.weight'",
        ),
        (
            trained(resnet(2, "instance")).state_dict(),
            r"'model.1.bias' is a bias of \(2,\) in the file and 'head.1.weight' is a weight",
        ),
        (dict(sorted(OLD.state_dict().items())), "first differ where 'model.10.model.1.weight'"),
        (
            dict(list(OLD.state_dict().items())[:-1]),
            "where 'tail.0.bias' is absent in the file and 'tail.0.bias' is a bias",
        ),
        ({"epoch": 7}, "they have 0 tensors"),
    ],
    ids=["width", "blocks", "norm", "sorted", "cut off", "no weights"],
)
def test_weights_of_another_network_are_refused(file, words):
    network = ResNetGenerator(width=2, blocks=2)
    with pytest.raises(ModelError, match=words):
        renamed_weights(file, network)
