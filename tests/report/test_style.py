import pytest

from rockmonai.report.style import in_lines


@pytest.mark.parametrize(
    ("name", "lines"),
    [("bicubic", 1), ("versa_model_warmup", 2), ("Sandstone_Versa0400", 2), ("a_b_c_d", 1), ("onewordthatislong", 1)],
)
def test_long_names_are_broken_behind_underscores(name, lines):
    broken = in_lines(name, 0.9)
    assert broken.replace("\n", "") == name and broken.count("\n") == lines - 1
    assert all(line.endswith("_") for line in broken.split("\n")[:-1])
