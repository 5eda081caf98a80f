from __future__ import annotations

import pytest
import torch
from torch import nn

from rockmonai.inferers.memory import peak_bytes


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_peak_of_what_is_alive_at_one_time(device):
    x = torch.ones(1000, device=device)
    assert peak_bytes(lambda x: x + 1, x) == 4000
    assert peak_bytes(lambda x: ((x + 1) * 2) - 3, x) == 8000
    assert peak_bytes(lambda x: (x + 1) + (x + 2), x) == 12000
    assert peak_bytes(lambda x: (x + 1).view(10, 100).T[3:], x) == 4000
    assert peak_bytes(lambda x: x + 1 if x.add(1).double() is not None else x, x) == 12000


@torch.no_grad()
def test_layers_one_after_the_other():
    # A volume is too large for any machine; the widest place is between the two convolutions.
    network = nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.ReLU(True), nn.Conv3d(8, 1, 3, padding=1)).to("meta")
    voxels = 100_000**3
    assert peak_bytes(network, torch.empty(1, 1, 100_000, 100_000, 100_000, device="meta")) == 4 * (8 + 1) * voxels
