"""Rings in rings, by hand: inside, beside, across, in a notch, and twice the same."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.annotations.rings import holds_ring_in_ring

Corners = list[tuple[float, float]]
SQUARE: Corners = [(0, 0), (10, 0), (10, 10), (0, 10)]
NOTCHED: Corners = [(0, 0), (10, 0), (10, 10), (7, 10), (7, 3), (3, 3), (3, 10), (0, 10)]  # open below, from x 3 to 7


def square(x: float, y: float, side: float) -> Corners:
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]


def rings(*several: Corners) -> list[np.ndarray]:
    return [np.array(one, float) for one in several]


@pytest.mark.parametrize(
    ("several", "inside"),
    [
        ((SQUARE,), False),
        ((SQUARE, square(2, 2, 3)), True),
        ((square(2, 2, 3), SQUARE), True),
        ((SQUARE, square(5, 5, 5)), True),  # touching two sides from within
        ((SQUARE, square(10, 0, 4)), False),  # sharing a side from without
        ((SQUARE, square(8, 8, 4)), False),
        ((SQUARE, SQUARE), False),
        ((SQUARE, SQUARE[::-1]), False),
        ((NOTCHED, square(3, 3, 4)), False),  # every corner lies on the other ring, and nothing inside it
        ((NOTCHED, square(4, 5, 2)), False),  # inside its box alone
        ((NOTCHED, [(1, 8), (9, 8), (9, 9), (1, 9)]), False),  # every corner inside, and across the notch
        ((NOTCHED, square(0.5, 0.5, 2)), True),
        ((square(20, 0, 3), square(30, 0, 3), SQUARE, square(4, 4, 0.01)), True),
        ((SQUARE, [(1, 1), (5, 5), (9, 9)]), False),  # a ring without an area fills nothing
        ((SQUARE, [(1, 5), (5, 5), (9, 5)]), False),
    ],
)
def test_a_ring_is_inside_where_nothing_of_it_is_outside(several: tuple[Corners, ...], inside: bool) -> None:
    assert holds_ring_in_ring(rings(*several)) == inside


def test_a_thin_wall_is_one() -> None:
    """An outline of 1 in 1000, as of a skull; and the same far from the origin."""
    for x in (0.0, 50_000.0):
        assert holds_ring_in_ring(rings(square(x, x, 1000), square(x + 1, x + 1, 998)))
