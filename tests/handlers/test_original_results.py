from __future__ import annotations

import numpy as np
import pytest
import torch

from rockmonai.errors import DataError
from rockmonai.handlers.original_results import MASKS, pictures

IMAGE = torch.tensor([[[-1.0, -0.5, 0.5, 1.0, 1.5]]])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_images_are_cut_to_bytes_and_masks_become_black_and_white(dtype):
    record = {"image": IMAGE, "charge": torch.tensor([[[0, 1, 1, 0, 0]]], dtype=dtype)}
    made = pictures(record, {"image": "txm"}, MASKS)
    assert set(made) == {"txm", "charge"}
    # (x + 1) / 2 * 255 without rounding: 63.75 and 191.25 lose their fractions.
    np.testing.assert_array_equal(made["txm"], [[[0, 63, 191, 255, 255]]])
    np.testing.assert_array_equal(made["charge"], [[[0, 255, 255, 0, 0]]])
    assert all(picture.dtype == np.uint8 for picture in made.values())


def test_a_folder_without_its_images_is_told():
    with pytest.raises(DataError, match="no 'pred' to be saved in 'sem_fake': correct 'folders'"):
        pictures({"image": IMAGE}, {"image": "txm", "pred": "sem_fake"}, {})
