"""Where large pictures are cut: within the picture, spread, apart where there is room, and by content alone."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artdetect.pictures.native_crops import MAX_CROPS, corners, is_large

SIZE = 20
SIDES = st.integers(SIZE, 7 * SIZE)


@given(SIDES, SIDES, st.integers(1, MAX_CROPS), st.integers(0, 99))
def test_crops_are_inside_and_apart_where_a_grid_of_them_fits(width: int, height: int, count: int, seed: int) -> None:
    found = corners(width, height, SIZE, count, f"{seed:064x}")
    assert len(set(found)) == count or min(width, height) < SIZE * 1.5
    for left, top in found:
        assert 0 <= left <= width - SIZE
        assert 0 <= top <= height - SIZE
    fits = any(columns * SIZE <= width and -(-count // columns) * SIZE <= height for columns in range(1, count + 1))
    overlapping = any(
        abs(one[0] - other[0]) < SIZE and abs(one[1] - other[1]) < SIZE for one, other in combinations(found, 2)
    )
    assert not (fits and overlapping)


def test_crops_of_a_picture_with_room_for_two_lie_at_its_ends() -> None:
    for seed in range(20):
        found = corners(30, 30, SIZE, 3, f"{seed:064x}")
        assert set(found) < {(0, 0), (0, 10), (10, 0), (10, 10)}
        assert len(set(found)) == 3


def test_another_content_has_other_crops_and_the_same_the_same() -> None:
    drawn = {tuple(corners(300, 200, SIZE, 3, f"{seed:064x}")) for seed in range(50)}
    assert len(drawn) == 50
    assert corners(300, 200, SIZE, 3, "a" * 64) == corners(300, 200, SIZE, 3, "a" * 64)


def test_crops_are_found_everywhere_in_a_picture() -> None:
    found = [corner for seed in range(300) for corner in corners(100, 60, SIZE, 3, f"{seed:064x}")]
    assert {min(place) for place in zip(*found, strict=True)} == {0}
    assert (max(left for left, _ in found), max(top for _, top in found)) == (80, 40)


@pytest.mark.parametrize(("side", "large"), [(335, False), (336, True), (1000, True), (16, False)])
def test_a_picture_is_large_from_one_and_a_half_canonical_sides_on(side: int, large: bool) -> None:
    assert is_large(side, 224) == large
