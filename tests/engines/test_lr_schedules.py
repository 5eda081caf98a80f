"""Learning rates over the epochs, by closed forms and by torch's own schedules."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from rockmonai.engines import TwoPhaseLR
from rockmonai.errors import UsageError


def rates(schedule_of, epochs, lr=0.1):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule, found = schedule_of(optimizer), []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_each_phase_is_a_cosine_of_its_own_rate():
    found = rates(lambda optimizer: TwoPhaseLR(optimizer, first_epochs=4, epochs=6, second_lr=0.02), 6)
    first = rates(lambda optimizer: CosineAnnealingLR(optimizer, T_max=4), 4)
    second = rates(lambda optimizer: CosineAnnealingLR(optimizer, T_max=2), 2, lr=0.02)
    assert found == pytest.approx(first + second)


@pytest.mark.parametrize(("first", "rate"), [(0, 0.02), (6, 0.1)])
def test_a_single_phase_has_the_whole_training(first, rate):
    found = rates(lambda optimizer: TwoPhaseLR(optimizer, first, epochs=6, second_lr=0.02), 6)
    assert found == pytest.approx(rates(lambda optimizer: CosineAnnealingLR(optimizer, T_max=6), 6, lr=rate))


def test_a_training_that_goes_on_beyond_its_epochs_stands_still():
    assert rates(lambda optimizer: TwoPhaseLR(optimizer, 2, epochs=4, second_lr=0.02), 6)[4:] == pytest.approx([0, 0])


def test_a_first_phase_longer_than_the_training_is_refused():
    with pytest.raises(UsageError, match="A training of 4 epochs has no first phase of 5"):
        rates(lambda optimizer: TwoPhaseLR(optimizer, 5, epochs=4, second_lr=0.02), 1)
