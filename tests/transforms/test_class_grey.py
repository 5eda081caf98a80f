import pytest
import torch

from rockmonai.errors import DataError
from rockmonai.transforms import ClassGreyd, class_grey


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
