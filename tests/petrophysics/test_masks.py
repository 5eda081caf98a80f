from __future__ import annotations

import numpy as np
import pytest
import torch

from rockmonai.errors import DataError
from rockmonai.petrophysics import (
    box_counts,
    fractal_dimension,
    interface_length,
    porosity,
    roughness,
    specific_surface,
    two_point_correlation,
    two_point_error,
)

MASK = np.kron(np.random.default_rng(0).random((12, 11)) < 0.3, np.ones((8, 8))) > 0
MEASURES = [
    porosity,
    interface_length,
    specific_surface,
    roughness,
    fractal_dimension,
    lambda mask: box_counts(mask, [1, 3]),
    lambda mask: two_point_correlation(mask, 9),
    lambda mask: two_point_error(mask, MASK[::-1], 9),
]


@pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5)])
def test_the_porosity_is_the_share_of_pores(shape):
    mask = np.zeros(shape, np.uint8)
    mask[..., 1, :3] = 1
    assert porosity(mask) == porosity(torch.from_numpy(mask)) == pytest.approx(3 / 20)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_mask_is_an_array_or_a_tensor_of_any_type(measure):
    expected = measure(MASK)
    for same in (MASK.astype(np.uint8), MASK.astype(np.float32), torch.tensor(MASK), torch.tensor(MASK).long()):
        np.testing.assert_array_equal(measure(same), expected)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones(64), r"found the shape \(64,\)"),
        (np.ones((1, 64, 64, 64)), "an image .* or a volume"),
        (np.ones((64, 0)), r"\(64, 0\)"),
        (2 * np.ones((64, 64), np.uint8), "found 2: compare a class map with a class"),
        (np.full((64, 64), np.nan), "found nan"),
        (torch.full((64, 64), -1), "found -1"),
    ],
)
def test_something_else_is_refused(measure, mask, message):
    with pytest.raises(DataError, match=message):
        measure(mask)
