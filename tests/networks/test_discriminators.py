from __future__ import annotations

import pytest
import torch
from monai.networks import nets

from rockmonai.errors import UsageError
from rockmonai.networks import PatchDiscriminator, PixelDiscriminator


@pytest.mark.parametrize(
    ("dims", "in_channels", "expected"), [(2, 1, 2_763_585), (2, 2, 2_764_609), (2, 4, 2_766_657), (3, 1, 11_048_769)]
)
def test_patchgan_has_as_many_parameters_as_the_published_code(dims, in_channels, expected):
    assert sum(weight.numel() for weight in PatchDiscriminator(dims, in_channels).parameters()) == expected


def test_pixelgan_has_as_many_parameters_as_the_published_code():
    assert sum(weight.numel() for weight in PixelDiscriminator().parameters()) == 8_704


@pytest.mark.parametrize(("side", "expected"), [(64, 6), (128, 14), (256, 30)])
def test_patchgan_answers_with_one_map_of_logits(side, expected):
    assert PatchDiscriminator(channels=2)(torch.rand(1, 1, side, side)).shape == (1, 1, expected, expected)


def test_a_logit_sees_seventy_pixels():
    image = torch.rand(1, 1, 128, 128, requires_grad=True)
    PatchDiscriminator(channels=4).eval()(image)[0, 0, 7, 7].backward()
    seen = image.grad[0, 0].nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]


def test_a_pixelgan_logit_sees_its_pixel_only():
    image = torch.rand(1, 1, 9, 9, requires_grad=True)
    PixelDiscriminator(channels=4).eval()(image)[0, 0, 2, 5].backward()
    assert image.grad[0, 0].nonzero().tolist() == [[2, 5]]


def test_is_the_last_layer_of_monais_discriminator():
    ours = PatchDiscriminator(3, 2, 4, 2)
    monais = nets.PatchDiscriminator(3, 4, 2, num_layers_d=2)
    monais.load_state_dict(ours.state_dict())
    image = torch.rand(2, 2, 16, 16, 16)
    assert torch.equal(ours(image), monais(image)[-1])


@pytest.mark.parametrize(("layers", "least"), [(1, 6), (2, 12), (3, 24)])
def test_refuses_exactly_the_images_that_are_too_small(layers, least):
    network = PatchDiscriminator(channels=2, layers=layers)
    assert network(torch.rand(2, 1, least, least)).shape == (2, 1, 1, 1)
    with pytest.raises(UsageError, match=f"{least} voxels a side or more, found {least} x {least - 1}:"):
        network(torch.rand(2, 1, least, least - 1))
