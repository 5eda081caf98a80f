import pytest
import torch

from rockmonai.errors import DataError
from rockmonai.transforms import ClassGreyd, RandClassGreyd, class_grey


def test_each_class_gets_its_gain_and_offset():
    grey = torch.full((1, 1, 3), 0.0)  # brightness 0.5
    classes = torch.tensor([[[0, 1, 2]]], dtype=torch.uint8)
    changed = class_grey(grey, classes, gain=[1.0, 0.7, 1.5], offset=[0.0, 0.1, 0.5])
    torch.testing.assert_close(changed, torch.tensor([[[0.0, -0.1, 1.0]]]))  # 0.5, 0.45, 1.25 clipped


def test_a_code_without_a_gain_is_reported():
    with pytest.raises(DataError, match="codes from 0 to 255"):
        class_grey(torch.zeros(1, 1, 2), torch.tensor([[[0, 255]]]), gain=[1.0, 0.7])


def test_a_class_map_of_another_size_is_reported():
    with pytest.raises(DataError, match="class map has"):
        class_grey(torch.zeros(1, 4, 4), torch.zeros(1, 2, 2), gain=[1.0])


def test_a_missing_class_map_is_reported():
    with pytest.raises(DataError, match="'semantic'"):
        ClassGreyd("image", gain=[1.0])({"image": torch.zeros(1, 2, 2)})


def test_random_gains_are_drawn_from_their_ranges_and_shared_by_all_keys():
    record = {"image": torch.zeros(1, 1, 2), "label": torch.zeros(1, 1, 2), "semantic": torch.tensor([[[0, 1]]])}
    transform = RandClassGreyd(["image", "label"], gain=[(0.9, 1.1), (0.5, 0.7)])
    transform.set_random_state(0)
    drawn = []
    for _ in range(300):
        changed = transform(record)
        assert torch.equal(changed["image"], changed["label"])
        drawn.append(changed["image"][0, 0] + 1)  # twice the brightness, which was 0.5
    gains = torch.stack(drawn)
    for values, low, high in ((gains[:, 0], 0.9, 1.1), (gains[:, 1], 0.5, 0.7)):
        assert low <= values.min() < low + 0.01 and high - 0.01 < values.max() <= high
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.01)
    assert abs(torch.corrcoef(gains.T)[0, 1]) < 0.2  # every class for itself


def test_a_seed_repeats_the_gains():
    record = {"image": torch.zeros(1, 4, 4), "semantic": torch.zeros(1, 4, 4)}
    transform = RandClassGreyd("image", gain=[(0.5, 1.5)])
    draws = [transform.set_random_state(seed)(record)["image"] for seed in (5, 5, 6)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_random_gains_want_a_class_map_only_where_they_are_used():
    record = {"image": torch.zeros(1, 2, 2)}
    with pytest.raises(DataError, match="no class map 'semantic'"):
        RandClassGreyd("image", gain=[(0.9, 1.1)])(record)
    assert RandClassGreyd("image", gain=[(0.9, 1.1)], prob=0.0)(record)["image"] is record["image"]
    assert RandClassGreyd("other", gain=[(0.9, 1.1)], allow_missing_keys=True)(record) == record
