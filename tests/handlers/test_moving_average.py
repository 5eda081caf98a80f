"""The average of weights, compared with that of torch and with a sum written out."""

from __future__ import annotations

import copy

import pytest
import torch
from ignite.engine import Engine
from torch import nn

from rockmonai.handlers import MovingAverage


def followed(weights, decay):
    """The average after a training in which the network's only weight takes these values, one an iteration."""
    network = nn.Linear(1, 1, bias=False)
    average = copy.deepcopy(network)
    engine = Engine(lambda engine, value: nn.init.constant_(network.weight, value))
    MovingAverage(network, average, decay).attach(engine)
    engine.run(weights)
    return float(average.weight)


def test_looks_back_over_the_last_iterations():
    assert followed([5.0] * 300, 0.9) == pytest.approx(5.0)
    # After a step from 0 to 1 what is left of the 0 is 0.9 ** n.
    assert followed([0.0] * 300 + [1.0] * 7, 0.9) == pytest.approx(1 - 0.9**7)


def test_forgets_where_the_network_began():
    # The first three shares: 10/11, 10/12, 10/13.
    expected = 0.0
    for step, value in enumerate([3.0, 4.0, 8.0], start=1):
        expected += (value - expected) * 10 / (10 + step)
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    average = copy.deepcopy(network)
    engine = Engine(lambda engine, value: nn.init.constant_(network.weight, value))
    MovingAverage(network, average, 0.999).attach(engine)
    engine.run([3.0, 4.0, 8.0])
    assert float(average.weight) == pytest.approx(expected)


def test_statistics_of_norms_are_averaged_and_counters_copied():
    network = nn.BatchNorm1d(2)
    average = copy.deepcopy(network)
    engine = Engine(lambda engine, batch: network.train()(batch))
    MovingAverage(network, average).attach(engine)
    engine.run([torch.tensor([[1.0, 4.0], [3.0, 8.0]])])
    # Batch norm itself moves a tenth of the way to the batch's mean, 2 and 6.
    torch.testing.assert_close(average.running_mean, torch.tensor([0.2, 0.6]) * 10 / 11)
    assert int(average.num_batches_tracked) == 1
    assert not average.training and not average.weight.requires_grad
