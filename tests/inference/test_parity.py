"""The comparison of two masks, with numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autoseg.inference.parity import Tally
from autoseg.volume.ellipse import Ellipse


def square(side: int, value: int = 1, size: int = 60) -> np.ndarray:
    winners = np.zeros((size, size), np.uint8)
    winners[5 : 5 + side, 5 : 5 + side] = value
    return winners


def tally_of(*pairs: tuple[np.ndarray, np.ndarray], spacing: tuple[float, ...] | None = None) -> Tally:
    tally = Tally()
    for found, expected in pairs:
        tally.add(found, expected, spacing)
    return tally


def test_one_pixel_in_a_thousand_may_differ() -> None:
    expected = square(40)  # 1,600 pixels
    found = expected.copy()
    found[5, 5] = 2
    assert tally_of((found, expected)).verdict("e").passed
    found[5, 6] = 0  # 2 of 1,600: pixels that only one calls foreground count, too
    parity = tally_of((found, expected)).verdict("e")
    assert (parity.foreground, parity.differing, parity.passed) == (1600, 2, False)
    assert tally_of((found, expected), (expected, expected)).verdict("e").passed, "2 of 3,200 over two cases"


def test_foreground_is_what_either_finds() -> None:
    parity = tally_of((square(10), np.zeros((60, 60), np.uint8))).verdict("e")
    assert (parity.n_cases, parity.foreground, parity.differing, parity.passed) == (1, 100, 100, False)


def test_cases_without_foreground_do_not_count() -> None:
    empty = np.zeros((60, 60), np.uint8)
    assert tally_of((empty, empty), (square(9), square(9))).n_cases == 1


def test_the_diameter_of_a_ball_of_the_same_volume() -> None:
    """20^3 voxels of 0.5 mm and one fewer: pi d^3 / 6 = 1000 mm^3 and 999.875 mm^3."""
    expected = np.zeros((30, 30, 30), np.uint8)
    expected[2:22, 2:22, 2:22] = 1
    found = expected.copy()
    found[2, 2, 2] = 0
    difference = math.cbrt(6 * 1000 / math.pi) - math.cbrt(6 * 999.875 / math.pi)
    assert tally_of((found, expected), spacing=(0.5, 0.5, 0.5)).largest_mm == pytest.approx(difference)


def test_a_tenth_of_a_millimetre() -> None:
    """A hole of 380 of 125,600 pixels, which the outline does not show: 0.15 % of the diameter, 0.03 mm of 20 mm, 0.3 mm of 200 mm."""
    y, x = np.mgrid[:500, :500]
    expected = (np.hypot(y - 250, x - 250) < 200).astype(np.uint8)
    found = expected.copy()
    found[240:260, 240:259] = 0
    small, large = (tally_of((found, expected), spacing=(mm, mm)).largest_mm for mm in (0.05, 0.5))
    assert small is not None and large is not None and large == pytest.approx(10 * small) and small < 0.1 < large


def test_the_circumference_of_a_head() -> None:
    """A half axis longer by two pixels; the perimeter tells, as the ellipse is fitted to the outline."""
    y, x = np.mgrid[:200, :200]
    first, second = (((y - 100) / 60) ** 2 + ((x - 100) / a) ** 2 <= 1 for a in (80, 82))
    tally = tally_of((first.astype(np.uint8), second.astype(np.uint8)), spacing=(0.1, 0.1))
    perimeters = [Ellipse((10.0, 10.0), (a / 10, 6.0), 0.0).perimeter() for a in (80, 82)]
    assert tally.largest_mm == pytest.approx(perimeters[1] - perimeters[0], abs=0.05)


def test_without_a_spacing_labels_decide() -> None:
    parity = tally_of((square(40), square(40))).verdict("e")
    assert parity.largest_mm is None and parity.passed


def test_when_there_is_enough_to_tell() -> None:
    """Three cases with 1,000 pixels of foreground, or ten."""
    small, large = (square(10), square(10)), (square(20), square(20))
    assert not tally_of(*[small] * 9).suffices and tally_of(*[small] * 10).suffices
    assert not tally_of(*[large] * 2).suffices and tally_of(*[large] * 3).suffices


def test_many_classes_are_compared_by_their_numbers() -> None:
    expected = np.random.default_rng(0).integers(0, 105, (40, 40, 40)).astype(np.uint8)
    found = expected.copy()
    found[expected == 7] = 0
    lost = np.count_nonzero(expected == 7) * 8.0
    assert tally_of((found, expected), spacing=(2.0, 2.0, 2.0)).largest_mm == pytest.approx(math.cbrt(6 * lost / math.pi))


def test_small_structures_are_not_fitted() -> None:
    """Of 900 pixels only the diameter counts: an ellipse may jump by a pixel."""
    found = square(30)
    found[5:8, 5:8] = 0
    difference = 2 * (math.sqrt(900 / math.pi) - math.sqrt(891 / math.pi))
    assert tally_of((found, square(30)), spacing=(1.0, 1.0)).largest_mm == pytest.approx(difference)
