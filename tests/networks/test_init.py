from __future__ import annotations

import pytest
import torch
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks import init_weights


@pytest.fixture(name="layers")
def _layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(64, 96, 3), nn.ConvTranspose2d(96, 64, 3), nn.BatchNorm2d(4096), nn.Linear(256, 128))


def test_normal_weights_have_the_asked_spread(layers):
    init_weights(layers, "normal", gain=0.05)
    for layer in layers:
        assert layer.weight.std().item() == pytest.approx(0.05, rel=0.05)
        assert not layer.bias.any()
    assert layers[2].weight.mean().item() == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("xavier", 0.5 * (2 / (9 * (64 + 96))) ** 0.5),  # Glorot and Bengio: 2 / (fan in + fan out)
        ("kaiming", (2 / (9 * 64)) ** 0.5),  # He et al.: 2 / fan in
    ],
)
def test_spread_follows_the_fans(layers, kind, expected):
    init_weights(layers, kind, gain=0.5)
    assert layers[0].weight.std().item() == pytest.approx(expected, rel=0.02)


def test_orthogonal_rows_stay_orthogonal(layers):
    init_weights(layers, "orthogonal", gain=2.0)
    rows = layers[3].weight
    torch.testing.assert_close(rows @ rows.T, 4 * torch.eye(128), rtol=0, atol=1e-4)


def test_other_layers_keep_their_values():
    slope, norm = nn.PReLU(), nn.InstanceNorm2d(3, affine=True)
    init_weights(nn.Sequential(slope, norm))
    assert slope.weight.tolist() == [0.25]
    assert norm.weight.tolist() == [1, 1, 1]


def test_an_unknown_kind_is_named():
    with pytest.raises(UsageError, match=r"not as 'kaimming' \(did you mean 'kaiming'"):
        init_weights(nn.Identity(), "kaimming")
