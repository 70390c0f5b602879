"""Structures drawn as lines."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.stages.check.lines import is_outline, outlines, pen_lines
from autoseg.stages.check.runs import runs_of


def disc(size: int = 200, radius: float = 60.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size // 2
    return np.hypot(y, x) <= radius


def ring(thickness: float, *, size: int = 200, radius: float = 60.0) -> np.ndarray:
    return disc(size, radius) & ~disc(size, radius - thickness)


@pytest.mark.parametrize(("thickness", "found"), [(1.5, True), (3.0, True), (5.0, False), (20.0, False), (60.0, False)], ids=str)
def test_a_thin_ring_is_an_outline_and_a_wall_is_none(thickness: float, found: bool) -> None:
    """Of 120 pixels of diameter, 4 % are 4.8."""
    found_lines = outlines(runs_of(ring(thickness).astype(np.uint8) * 3))
    assert set(found_lines) == ({"3"} if found else set())
    if found:
        assert found_lines["3"] == pytest.approx(np.pi * 60**2, rel=0.02)


@pytest.mark.parametrize(("thickness", "by_pen"), [(1.0, True), (2.0, True), (3.0, True), (4.2, False), (8.0, False)], ids=str)
def test_a_pen_is_three_pixels_wide_at_most(thickness: float, by_pen: bool) -> None:
    line = ring(thickness, size=150)
    assert pen_lines(runs_of(line.astype(np.uint8) * 7)) == (("7",) if by_pen else ())
    line[70:74, 130:134] = True  # where the pen was set down twice
    assert pen_lines(runs_of(line.astype(np.uint8) * 7)) == (("7",) if by_pen else ())


def test_a_line_that_encloses_nothing_may_be_of_a_pen_and_a_disc_is_not() -> None:
    array = ring(2.0, size=150).astype(np.uint8)
    array[:75] = 0
    array[10:14, 10:14] = 2
    assert outlines(runs_of(array)) == {} and pen_lines(runs_of(array)) == ("1",)


def test_a_ring_by_numbers() -> None:
    """A ring of outer diameter 100 and thickness 4: pi (50^2 - 46^2) = 1206 pixels around pi 46^2 = 6648."""
    assert is_outline(1206, 6648)
    assert not is_outline(1521, 6362)  # thickness 5
    assert not is_outline(100, 150)  # hardly more inside than line
    assert not is_outline(25, -12)


def test_what_encloses_another_structure_is_a_wall() -> None:
    array = ring(2.0).astype(np.uint8)
    array[90:110, 90:110] = 2
    assert outlines(runs_of(array)) == {}


def test_an_outline_in_a_large_picture() -> None:
    found = outlines(runs_of(ring(3.0, size=700, radius=250.0).astype(np.uint8)))
    assert found["1"] == pytest.approx(np.pi * 250**2, rel=0.03)


def test_an_open_line_is_no_outline() -> None:
    array = ring(2.0)
    array[:, 95:110] = False
    assert outlines(runs_of(array.astype(np.uint8))) == {}


@pytest.mark.parametrize(
    ("leaves", "found"), [(20, True), (75, False), (-30, False)], ids=["a little", "most of it", "not at all"]
)
def test_an_ellipse_that_leaves_the_picture(leaves: int, found: bool) -> None:
    """A ring of radius 60 of which so much is cut off; within the picture it has a gap only where it leaves."""
    array = ring(3.0)[40 + max(leaves, 0) :]  # the ring begins at row 40
    if leaves < 0:
        array[:, 98:103] = False
    told = outlines(runs_of(array.astype(np.uint8)))
    assert bool(told) == found
    if found:
        assert told["1"] == pytest.approx(disc(radius=58.5)[60:].sum(), rel=0.01)


def test_an_arc_from_side_to_side_is_no_outline() -> None:
    y, x = np.mgrid[:200, :200]
    layer = np.abs(y - (80 + (x - 100) ** 2 / 250)) < 2
    assert outlines(runs_of(layer.astype(np.uint8))) == {}
