"""A training that begins where another one ended."""

from __future__ import annotations

import pytest
import torch

from rockmonai.bundle import started
from rockmonai.errors import ModelError
from rockmonai.handlers import write_checkpoint
from rockmonai.networks import UNet
from tests.bundles.runs import train, write_small_set


def test_weights_are_those_of_the_file_and_are_to_learn(tmp_path):
    earlier = UNet(width=2, levels=1)
    write_checkpoint(earlier.state_dict(), tmp_path / "model.pt")
    network = started(UNet(width=2, levels=1), str(tmp_path / "model.pt"))
    assert network.training and all(map(torch.equal, network.parameters(), earlier.parameters()))
    with pytest.raises(ModelError, match="another"):
        started(UNet(width=4, levels=1), str(tmp_path / "model.pt"))


def test_without_a_file_the_network_is_as_it_was():
    network = UNet(width=2, levels=1)
    assert started(network) is network


def test_a_training_of_a_rate_of_zero_leaves_what_it_began_with(tmp_path):
    dataset = write_small_set(tmp_path / "set", "shale_unet")
    train("shale_unet", dataset, tmp_path / "first", epochs=1)
    weights = str(tmp_path / "first" / "model.pt")
    train("shale_unet", dataset, tmp_path / "second", epochs=1, seed=5, lr=0.0, start_from=weights)
    first, second = (torch.load(tmp_path / run / "model.pt", weights_only=True) for run in ("first", "second"))
    for name, values in first.items():
        if "running" not in name and "tracked" not in name:
            torch.testing.assert_close(second[name], values)
