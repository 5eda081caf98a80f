from __future__ import annotations

import pytest
import torch
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks import ResNetGenerator


@pytest.mark.parametrize(
    ("blocks", "norm", "expected"),
    [(9, "batch", 11_370_881), (9, "instance", 11_365_633), (6, "batch", 7_828_865), (6, "instance", 7_825_153)],
)
def test_has_as_many_parameters_as_the_published_code(blocks, norm, expected):
    assert sum(weight.numel() for weight in ResNetGenerator(blocks=blocks, norm=norm).parameters()) == expected


@pytest.mark.parametrize(("norm", "expected"), [("batch", False), ("instance", True), (None, True)])
def test_only_batch_norm_replaces_the_biases(norm, expected):
    kinds = nn.Conv2d | nn.ConvTranspose2d
    *inner, last = (layer for layer in ResNetGenerator(norm=norm, width=2).modules() if isinstance(layer, kinds))
    assert {layer.bias is not None for layer in inner} == {expected}
    assert last.bias is not None


@pytest.mark.parametrize(("dropout", "expected"), [(0.0, []), (0.5, [0.5] * 3)])
def test_every_block_drops_out_if_asked(dropout, expected):
    network = ResNetGenerator(width=2, blocks=3, dropout=dropout)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == expected


def test_weights_start_as_asked():
    torch.manual_seed(0)
    weight = ResNetGenerator(3, width=8, init="kaiming").down[0].weight
    assert weight.std().item() == pytest.approx((2 / (27 * 8)) ** 0.5, rel=0.05)


def test_without_a_final_activation_the_output_is_unbounded():
    network = ResNetGenerator(width=2, blocks=1, final=None)
    nn.init.constant_(network.tail[0].bias, 7.0)
    assert network(torch.rand(1, 1, 8, 8)).mean() > 1


def test_refuses_an_image_that_would_come_out_larger():
    with pytest.raises(UsageError, match="multiples of 4 voxels, found 16 x 18:"):
        ResNetGenerator(width=2, blocks=1)(torch.rand(1, 1, 16, 18))
