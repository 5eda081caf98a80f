from __future__ import annotations

import numpy as np
import pytest

from rockmonai.data import class_counts
from rockmonai.errors import DataError

LABELS = {"a": [[0, 0, 3], [3, 3, 0]], "b": [[1, 1, 1]]}
RECORDS = [{"name": name} for name in LABELS]


def read(record):
    return {"label": np.array([LABELS[record["name"]]])}


def test_voxels_of_all_labels_are_counted_class_by_class():
    assert class_counts(RECORDS, read, ["mineral", "organic", "pore", "clay"]).tolist() == [3, 3, 0, 3]


def test_a_class_without_a_name_is_an_error_that_names_the_label():
    with pytest.raises(DataError, match=r"'a' has a class 3, .* 0 to 1 \(mineral, organic\)"):
        class_counts(RECORDS, read, ["mineral", "organic"])
