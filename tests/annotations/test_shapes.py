"""Shapes from numbers, and numbers that are none."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.annotations.painting import area_inside
from autoseg.annotations.shapes import ellipse, polygon, rectangle, turned_box


def test_pairs_and_numbers_by_turns() -> None:
    for numbers in ([[0, 0], [2, 0], [2, 1], [0, 1]], [0, 0, 2, 0, 2, 1, 0, 1]):
        assert area_inside(polygon(numbers), (2, 3)).tolist() == [[True, True, False], [False] * 3]
    assert np.array_equal(
        area_inside(rectangle([[2, 1], [0, 0]]), (2, 3)), area_inside(polygon([0, 0, 2, 0, 2, 1, 0, 1]), (2, 3))
    )


def test_an_ellipse_is_turned_clockwise() -> None:
    rows, columns = np.nonzero(area_inside(ellipse(50, 50, 40, 5, 30), (100, 100)))
    slope = np.polyfit(columns, rows, 1)[0]  # y points down
    assert slope == pytest.approx(np.tan(np.radians(30)), abs=0.02) and len(rows) == pytest.approx(np.pi * 200, rel=0.02)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([0, 0, 1, 1], "2 points, and an area takes three"),
        ([0, 0, 1, 1, 2], "no pairs of x and y"),
        ([[0, 0, 0], [1, 1, 1]], "no pairs of x and y"),
        ([[0, 0], [1]], "no pairs of numbers"),
        ([0, 0, 1, float("inf"), 2, 2], "a coordinate is not finite"),
        (None, "no pairs|not finite"),
    ],
)
def test_what_is_no_polygon(numbers: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        polygon(numbers)


def test_a_box_is_turned_about_its_centre() -> None:
    """4 x 2 about (2, 1): it lies at 0 and 180 degrees, and stands from (1, -1) to (3, 3) at 90. At 30 one corner is at (4.232, 1.134)."""
    for degrees, largest in ((0, [4, 2]), (90, [3, 3]), (180, [4, 2]), (270, [3, 3])):
        assert turned_box(0, 0, 4, 2, degrees).rings[0].max(axis=0).tolist() == pytest.approx(largest)
    assert turned_box(0, 0, 4, 2, 30).rings[0][1].tolist() == pytest.approx([2 + 3**0.5 + 0.5, 1 + 1 - 3**0.5 / 2], abs=1e-9)
