from __future__ import annotations

import pytest

from rockmonai.errors import UsageError
from rockmonai.metrics import group_of


@pytest.mark.parametrize(
    ("name", "groups", "group"),
    [
        ("carbonate2D_0801", "prefix", "carbonate2D"),
        ("a_b_c", "prefix", "a"),
        ("rock7", "prefix", "other"),
        ("_7", "prefix", "other"),
        ("Berea2_01", ["Berea", "Berea2", "Leopard"], "Berea2"),
        ("coal_1", ["Berea"], "other"),
    ],
)
def test_a_name_tells_its_group(name, groups, group):
    assert group_of(name, groups) == group


def test_another_word_is_told():
    with pytest.raises(UsageError, match=r"groups is \"prefix\" or a list"):
        group_of("coal_1", "coal")
