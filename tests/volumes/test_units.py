import pytest

from rockmonai.volumes.units import complete, micrometres, spacing_from_dpi


@pytest.mark.parametrize(
    ("length", "unit", "expected"),
    [
        (250, "nm", 0.25),
        (2.5, "µm", 2.5),
        (2.5, "\N{GREEK SMALL LETTER MU}m", 2.5),
        (2.5, "\\u00B5m", 2.5),
        (2.5, "microns", 2.5),
        (0.01, "mm", 10),
        (1, "Millimetre", 1000),
        (1, "cm", 10_000),
        (1, "inch", 25_400),
        (-2, "um", 2),
        (1, "pixel", None),
        (1, "", None),
    ],
)
def test_lengths_become_micrometres(length: float, unit: str, expected: float | None) -> None:
    assert micrometres(length, unit) == (expected and pytest.approx(expected))


def test_half_a_spacing_is_none() -> None:
    assert complete([1, 2, 3]) == (1, 2, 3)
    assert complete([None, 2, 3]) is None
    assert complete([0, 2, 3]) is None
    assert complete([float("nan"), 2, 3]) is None


def test_printers_defaults_are_no_measurement() -> None:
    assert spacing_from_dpi((2540, 1270)) == (10, 20)
    assert spacing_from_dpi((71.9836, 71.9836)) is None  # 72 after PNG's whole pixels per metre
