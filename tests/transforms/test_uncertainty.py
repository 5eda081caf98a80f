from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from rockmonai.errors import DataError
from rockmonai.transforms import Uncertaintyd, uncertainty


@pytest.mark.parametrize("shape", [(4, 9, 11), (3, 5, 6, 7), (2, 8, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_is_the_entropy_of_the_softmax_to_the_base_of_the_number_of_classes(shape, dtype):
    torch.manual_seed(0)
    logits = (3 * torch.randn(shape)).to(dtype)
    odds = np.exp(logits.double().numpy())
    found = uncertainty(logits)
    assert found.shape == (1, *shape[1:]) and found.dtype == torch.float32
    np.testing.assert_allclose(found[0], entropy(odds, base=shape[0]), atol=1e-6)


def test_runs_from_certain_to_no_idea():
    logits = torch.tensor([[0.0, 1e4, -1e30, 0.0], [0.0, 0.0, 1e30, 0.0], [0.0, 0.0, 0.0, -1e30]])
    assert uncertainty(logits)[0].tolist() == pytest.approx([1.0, 0.0, 0.0, np.log(2) / np.log(3)])


def test_a_single_channel_tells_nothing():
    with pytest.raises(DataError, match="two classes or more"):
        uncertainty(torch.zeros(1, 4, 4))


def test_stands_in_the_record_beside_the_logits():
    logits = torch.randn(3, 4, 5)
    made = Uncertaintyd()({"pred": logits, "name": "rock"})
    assert made["pred"] is logits and made["name"] == "rock"
    assert torch.equal(made["uncertainty"], uncertainty(logits))
