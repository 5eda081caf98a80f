import pytest

from rockmonai.errors import DataError, UsageError
from rockmonai.transforms.windows import Side, corner_choices, scale_between


def side(length, scale=1, shift=0):
    return Side("scan.tif", (length,), (scale,), (shift,))


def test_scale_is_per_axis_and_forgives_a_rest():
    assert scale_between("image", (10, 25, 250), (10, 101, 1001)) == (1, 4, 4)


@pytest.mark.parametrize("shape", [(30, 25), (24, 25), (200, 200), (25, 25, 25)])
def test_sizes_without_an_integer_scale_are_reported(shape):
    with pytest.raises(DataError, match=r"scan\.tif has"):
        scale_between("scan.tif", shape, (100, 100))


def test_the_last_voxel_is_reached_and_a_full_window_fits():
    assert corner_choices(0, [side(10)], 4)[0] == range(0, 7)
    assert corner_choices(0, [side(10)], 10)[0] == range(0, 1)


def test_corners_are_multiples_of_every_scale():
    sides = [side(48), side(24, 2), side(16, 3)]
    corners, size = corner_choices(0, sides, 12)
    assert [*corners] == [0, 6, 12, 18, 24, 30, 36]
    assert [s.box([30], [size]) for s in sides] == [(slice(30, 42),), (slice(15, 21),), (slice(10, 14),)]


def test_the_whole_is_cut_to_a_multiple_of_the_scale():
    assert corner_choices(0, [side(1003), side(250, 4)], None) == (range(0, 1, 4), 1000)
    assert corner_choices(0, [side(1000), side(250, 4)], None, (5, 20)) == (range(8, 9, 4), 12)


def test_the_whole_is_also_cut_to_another_multiple_and_begins_at_the_first_corner():
    assert corner_choices(0, [side(61)], None, multiple=4) == (range(0, 1), 60)
    assert corner_choices(0, [side(61), side(10, 6)], None, multiple=4) == (range(0, 1), 60)
    assert corner_choices(0, [side(59), side(9, 6)], None, multiple=4) == (range(0, 1), 48)
    with pytest.raises(DataError, match=r"3 voxels .* window of 4"):
        corner_choices(0, [side(3)], None, multiple=4)


def test_a_region_is_never_left():
    corners, _ = corner_choices(0, [side(100), side(25, 4)], 8, (10, 31))
    assert [*corners] == [12, 16, 20]


@pytest.mark.parametrize(("shift", "expected"), [(3, range(0, 4)), (-3, range(3, 7))])
def test_a_shifted_window_stays_inside(shift, expected):
    assert corner_choices(0, [side(10), side(10, shift=shift)], 4)[0] == expected


def test_what_cannot_be_linked_or_does_not_fit_is_reported():
    with pytest.raises(UsageError, match="multiple of 4"):
        corner_choices(0, [side(100), side(25, 4)], 10)
    with pytest.raises(UsageError, match="misalignment of 2"):
        corner_choices(0, [side(100), side(25, 4, shift=2)], 8)
    with pytest.raises(DataError, match=r"scan\.tif has 10 voxels"):
        corner_choices(0, [side(10)], 12)
    with pytest.raises(DataError, match="smaller patch_size"):
        corner_choices(0, [side(100)], 20, (90, 100))
