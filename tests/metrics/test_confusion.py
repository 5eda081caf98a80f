from __future__ import annotations

import pytest
import torch
from skimage.metrics import contingency_table

from rockmonai.errors import DataError
from rockmonai.metrics import confusion_matrix


def test_rows_are_the_label_and_columns_the_prediction():
    label = torch.tensor([0, 0, 0, 1]).view(1, 1, 2, 2)
    pred = torch.tensor([0, 2, 2, 1]).view(1, 1, 2, 2)
    assert confusion_matrix(pred, label, 3).tolist() == [[[1, 0, 2], [0, 1, 0], [0, 0, 0]]]


@pytest.mark.parametrize("shape", [(3, 1, 30, 31), (2, 1, 8, 9, 10)])
def test_agrees_with_the_contingency_table_of_scikit_image(shape):
    torch.manual_seed(0)
    pred, label = torch.randint(0, 4, (2, *shape))
    found = confusion_matrix(pred.float(), label.byte(), 4)
    assert found.dtype == torch.int64
    for one, other, matrix in zip(pred.numpy(), label.numpy(), found, strict=True):
        assert matrix.tolist() == contingency_table(other, one).toarray().astype(int).tolist()


@pytest.mark.parametrize("number", [-1, 4])
def test_a_number_that_is_no_class_is_refused(number):
    label = torch.zeros(1, 1, 4, 4)
    with pytest.raises(DataError, match=f"numbered 0 to 3, found .*{number}"):
        confusion_matrix(torch.full_like(label, number), label, 4)
