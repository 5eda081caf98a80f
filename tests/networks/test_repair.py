from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rockmonai.inferers import footprint
from rockmonai.inferers.pieces import Piece
from rockmonai.inferers.shrinking import Shrinking
from rockmonai.networks import Repair, SRResNet


def generator(dims: int) -> nn.Module:
    return SRResNet(dims, 3, 1, 4, 1, scale=1, init="kaiming")


def seen(count: int, *shape: int) -> torch.Tensor:
    """Return inputs of which another part is charged in every image of the batch."""
    images = torch.rand(count, 3, *shape) * 2 - 1
    images[:, 2] = images[:, 2].sign()
    return images


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("shape", [(3, 12, 10), (2, 8, 10, 12)])
def test_only_charged_voxels_are_predicted(shape):
    network, image = Repair(generator(len(shape) - 1)).eval(), seen(*shape)
    with torch.inference_mode():
        pred, raw = network(image), network.generator(image)
    # One image after the other, by hand.
    for found, predicted, given in zip(pred.numpy(), raw.numpy(), image.numpy(), strict=True):
        np.testing.assert_array_equal(found[0], np.where(given[2] > 0, predicted[0], given[1]))
    assert pred.shape == (shape[0], 1, *shape[1:])


def test_an_image_without_charging_stays_as_it_is():
    image = seen(2, 12, 12)
    image[:, 2] = -1
    assert torch.equal(Repair(generator(2))(image), image[:, 1:2])


def test_only_charged_voxels_teach():
    network, image = Repair(nn.Conv2d(3, 1, 1)), seen(1, 6, 6)
    network(image).sum().backward()
    charged = image[0, 2] > 0
    assert network.generator.bias.grad.item() == charged.sum()
    torch.testing.assert_close(network.generator.weight.grad.flatten(), image[0, :, charged].sum(1))


def test_torchscript_computes_the_same():
    network, image = Repair(generator(2)).eval(), seen(2, 12, 12)
    torch.testing.assert_close(torch.jit.script(network)(image), network(image))


@pytest.mark.parametrize("dims", [2, 3])
def test_the_footprint_is_that_of_the_generator(dims):
    inner = generator(dims)
    assert footprint(Repair(inner), dims, 3) == footprint(inner, dims, 3)


def test_a_piece_is_repaired_without_padding_inside():
    network, image = Repair(generator(2)).eval(), seen(1, 60, 50)
    with torch.inference_mode():
        whole = network(image)
        piece = Shrinking(network).run(Piece(image[..., 10:, 5:45], (10, 5), (60, 50)))
    part = whole[(..., *map(slice, piece.start, piece.stop))]
    assert piece.values.numel() > 500
    torch.testing.assert_close(piece.values, part, rtol=0, atol=2e-5 * float(whole.std()))
