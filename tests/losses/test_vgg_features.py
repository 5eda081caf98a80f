"""The perceptual loss, compared with the first layers of VGG-19 written out in torch's own functions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from monai.data import MetaTensor

from rockmonai.errors import DataError, UsageError
from rockmonai.losses import LossTerm, VGGFeatureLoss


def greys(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(scope="module", name="weights")
def _weights():
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for number, (out, into) in {0: (64, 3), 2: (64, 64)}.items():
        weights[f"features.{number}.weight"] = 0.1 * torch.randn(out, into, 3, 3, generator=generator)
        weights[f"features.{number}.bias"] = 0.1 * torch.randn(out, generator=generator)
    return weights


@pytest.fixture(scope="module", name="file")
def _file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(weights, path)
    return str(path)


def features(image, weights):
    """conv1_2 of grey images in [-1, 1]."""
    red, green, blue = ((image + 1) / 2).split(1, 1) if image.shape[1] == 3 else [(image + 1) / 2] * 3
    photograph = torch.cat([(red - 0.485) / 0.229, (green - 0.456) / 0.224, (blue - 0.406) / 0.225], 1)
    first = F.conv2d(photograph, weights["features.0.weight"], weights["features.0.bias"], padding=1).relu()
    return F.conv2d(first, weights["features.2.weight"], weights["features.2.bias"], padding=1)


def expected_loss(pred, label, weights):
    return (features(pred, weights) - features(label, weights)).square().mean()


@pytest.mark.parametrize("channels", [1, 3])
def test_is_the_mean_squared_difference_of_the_features(weights, file, channels):
    pred, label = greys(2, channels, 9, 8), greys(2, channels, 9, 8, seed=1)
    found = VGGFeatureLoss(file, "conv1_2")(pred, label)
    torch.testing.assert_close(found, expected_loss(pred, label, weights))


def test_its_gradient_reaches_the_prediction_and_nothing_else(weights, file):
    pred, label = greys(2, 1, 9, 8).requires_grad_(), greys(2, 1, 9, 8, seed=1).requires_grad_()
    loss = VGGFeatureLoss(file, "conv1_2")
    loss(pred, label).backward()
    (expected,) = torch.autograd.grad(expected_loss(pred, label, weights), pred)
    assert expected.abs().max() > 0
    torch.testing.assert_close(pred.grad, expected)
    assert label.grad is None
    assert all(values.grad is None for values in loss.network.parameters())


def test_volumes_are_seen_slice_by_slice_along_every_axis(weights, file):
    pred, label = MetaTensor(greys(2, 1, 4, 5, 6)), MetaTensor(greys(2, 1, 4, 5, 6, seed=1))

    def along(axis, first=0, step=1):
        numbers = range(first, pred.shape[axis], step)
        return torch.stack(
            [expected_loss(pred.select(axis, n), label.select(axis, n), weights) for n in numbers]
        ).mean()

    every = torch.stack([along(axis) for axis in (2, 3, 4)]).mean()
    found = VGGFeatureLoss(file, "conv1_2")(pred, label)
    torch.testing.assert_close(found, every.as_tensor())
    fewer = VGGFeatureLoss(file, "conv1_2", axes="zx", step=3)(pred, label)
    torch.testing.assert_close(fewer, ((along(2, 1, 3) + along(4, 1, 3)) / 2).as_tensor())
    # A step beyond the volume leaves the slice in the middle.
    middle = VGGFeatureLoss(file, "conv1_2", axes="y", step=99)(pred, label)
    torch.testing.assert_close(middle, along(3, 2, 99).as_tensor())


def test_autocast_changes_nothing(file):
    pred, label = greys(1, 1, 16, 16), greys(1, 1, 16, 16, seed=1)
    loss = VGGFeatureLoss(file, "conv1_2")
    plain = loss(pred, label)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = loss(pred, label)
    assert mixed.dtype is torch.float32 and torch.equal(mixed, plain)


def test_no_state_dict_and_no_optimiser_sees_the_network(file):
    loss = VGGFeatureLoss(file, "conv1_2")
    loss(greys(1, 1, 4, 4), greys(1, 1, 4, 4))
    assert not loss.state_dict() and not list(loss.parameters())


def test_a_term_that_is_off_needs_no_file_and_one_that_counts_misses_it_at_once(tmp_path):
    assert not LossTerm("vgg", VGGFeatureLoss(None), weight=0.0).active
    with pytest.raises(UsageError, match="no file was named"):
        LossTerm("vgg", VGGFeatureLoss(None), weight=1e-5)
    with pytest.raises(UsageError, match=r"there is no file .*absent.pth"):
        LossTerm("vgg", VGGFeatureLoss(str(tmp_path / "absent.pth")), weight=1e-5)


def test_other_numbers_of_channels_are_refused(file):
    with pytest.raises(DataError, match="1 or 3 channels, found 2"):
        VGGFeatureLoss(file, "conv1_2")(greys(1, 2, 4, 4), greys(1, 2, 4, 4))


@pytest.mark.parametrize("options", [{"axes": "zw"}, {"axes": ""}, {"step": 0}])
def test_impossible_slices_are_refused(options):
    with pytest.raises(UsageError, match="found"):
        VGGFeatureLoss(None, **options)
