"""Who learns in which epoch, read off the weights."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from ignite.engine import Events
from torch import nn

from rockmonai.engines import GANTrainer
from rockmonai.handlers import MovingAverage, Stacking
from rockmonai.losses import LossTerm, OneVsRest
from rockmonai.networks import StackedUNets


def weights(*networks):
    return torch.cat([values.detach().flatten() for network in networks for values in network.state_dict().values()])


def test_members_learn_first_and_stay_as_they_are_while_the_stacking_network_learns():
    torch.manual_seed(0)
    network = StackedUNets(out_channels=3, width=2, levels=1)
    average = copy.deepcopy(network)
    batch = {"image": torch.randn(2, 1, 8, 8), "label": torch.randint(0, 3, (2, 1, 8, 8))}
    cross_entropy = lambda logits, label: nn.functional.cross_entropy(logits, label[:, 0])  # noqa: E731
    trainer = GANTrainer(
        device="cpu",
        max_epochs=4,
        train_data_loader=[batch] * 2,
        network=network,
        optimizer=torch.optim.Adam(network.parameters(), 0.01),
        losses=[
            LossTerm("binary", OneVsRest(nn.BCEWithLogitsLoss()), between=["binary", "label"]),
            LossTerm("multi", cross_entropy, between=["multi", "label"]),
            LossTerm("stack", cross_entropy),
        ],
        warmup_epochs=2,
        train_handlers=[Stacking(network, average), MovingAverage(network, average)],
    )
    seen = [(weights(network.binary, network.multi), weights(network.stacker))]
    trainer.add_event_handler(
        Events.EPOCH_COMPLETED,
        lambda: seen.append((weights(network.binary, network.multi), weights(network.stacker))),
    )
    trainer.run()
    changed = [
        tuple(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) for before, after in pairwise(seen)
    ]
    # At the border the members become their averages, and then stay as they are.
    assert changed == [(True, False), (True, False), (True, True), (False, True)]
    torch.testing.assert_close(seen[-1][0], weights(average.binary, average.multi))
