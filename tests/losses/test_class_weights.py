from __future__ import annotations

import pytest
import torch

from rockmonai.errors import DataError, UsageError
from rockmonai.losses import class_weights

# Of 100 voxels 64 + 32 + 4. One over the share is 25/16, 25/8, 25: each class then counts alike, 1/3 of the total.
EXPECTED = {
    "none": [1, 1, 1],
    "inverse": [100 / 64 / 3, 100 / 32 / 3, 100 / 4 / 3],
    "sqrt": [1.25 / (0.8 + 0.32**0.5 + 0.2), 0.32**-0.5 / (1 + 0.32**0.5), 5 / (1 + 0.32**0.5)],
    "complement": [0.36 / 0.4864, 0.68 / 0.4864, 0.96 / 0.4864],  # 0.64 x 0.36 + 0.32 x 0.68 + 0.04 x 0.96
}


@pytest.mark.parametrize("scheme", EXPECTED)
def test_weights_follow_the_shares_and_average_to_one(scheme):
    for counts in ([64, 32, 4], torch.tensor([64, 32, 4])):
        weights = class_weights(counts, scheme)
        assert weights.dtype == torch.float32
        assert weights.tolist() == pytest.approx(EXPECTED[scheme])
    assert (0.64 * weights[0] + 0.32 * weights[1] + 0.04 * weights[2]).item() == pytest.approx(1)


@pytest.mark.parametrize("scheme", EXPECTED)
def test_a_class_without_voxels_weighs_nothing_and_changes_nothing(scheme):
    assert class_weights([64, 0, 32, 4], scheme).tolist() == pytest.approx(
        [EXPECTED[scheme][0], 0, *EXPECTED[scheme][1:]]
    )


def test_a_class_of_nearly_everything_still_counts():
    # 1 - share is 1e-9 and 1 - 1e-9: the mean over the voxels is twice 1e-9.
    assert class_weights([10**9 - 1, 1], "complement").tolist() == pytest.approx([0.5, 5e8])


def test_an_unknown_scheme_is_refused():
    with pytest.raises(UsageError, match=r"not by 'invers' \(did you mean 'inverse'"):
        class_weights([1, 2], "invers")


@pytest.mark.parametrize(("counts", "scheme"), [([0, 0], "inverse"), ([5, 0], "complement")])
def test_counts_that_say_nothing_are_refused(counts, scheme):
    with pytest.raises(DataError, match="fewer than two classes"):
        class_weights(counts, scheme)
