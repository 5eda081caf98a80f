"""Classes by thresholds, compared with numpy's, and a generator that is shown them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rockmonai.errors import UsageError
from rockmonai.networks import SelfGuided, SemSR, Thresholds, UNet


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("thresholds", [[0.1], [-0.5, 0.0, 0.7]])
def test_classes_lie_between_their_thresholds(dims, thresholds):
    image = torch.rand(2, 1, *(9,) * dims) * 2 - 1
    logits = Thresholds(len(thresholds) + 1, thresholds, dims)(image)
    assert np.array_equal(logits.argmax(1).numpy(), np.digitize(image[:, 0].numpy(), thresholds))


def test_near_a_threshold_both_classes_are_likely():
    network = Thresholds(2, [0.25], sharpness=50.0)
    found = network(torch.tensor([0.25, 0.25 + 2 / 50]).view(1, 1, 1, 2)).softmax(1)
    # The logistic function of 0 and of 2.
    torch.testing.assert_close(found[0, 1, 0], torch.tensor([0.5, 0.8808]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("wrong", [[0.5, 0.1], [0.0], [0.1, 0.1]])
def test_thresholds_that_divide_nothing_are_refused(wrong):
    with pytest.raises(UsageError, match="3 classes need 2 thresholds"):
        Thresholds(3, wrong)


def test_thresholds_without_values_wait_for_weights():
    image, network = torch.rand(1, 1, 4, 4), Thresholds(3)
    with pytest.raises(UsageError, match="have no values: give 'thresholds'"):
        network(image)
    known = Thresholds(3, [-0.5, 0.5])
    network.load_state_dict(known.state_dict())
    assert torch.equal(network(image), known(image))


def test_a_generator_sees_the_image_and_its_classes():
    network = SelfGuided(nn.Identity(), Thresholds(3, [-0.5, 0.5]))
    image = torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3)
    expected = torch.tensor([[-1.0, 0.0, 1.0], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    torch.testing.assert_close(network(image)[0, :, 0], expected)


def test_the_segmentation_does_not_learn():
    network = SelfGuided(SemSR(semantic_channels=4, width=2, kernels=[3], scale=2), UNet(width=2, levels=1)).train()
    before = {name: values.clone() for name, values in network.segmentation.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), 0.1, weight_decay=0.1)
    network(torch.rand(2, 1, 8, 8)).square().mean().backward()
    optimizer.step()
    assert all(torch.equal(values, before[name]) for name, values in network.segmentation.state_dict().items())
    assert network.training and not network.segmentation.training and network.multiple == 2
    assert network.eval()(torch.rand(1, 1, 8, 8)).shape == (1, 1, 16, 16)
