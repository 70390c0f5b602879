"""Widths of shapes that are drawn to a known width, in every direction and on pixels of any shape."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autoseg.metrics.width import width_2d
from autoseg.volume.ellipse import Ellipse

from .head_shapes import Spacing, filled
from .test_shape import _rectangle

PLACES = [(y, x) for y in (-0.375, -0.125, 0.125, 0.375) for x in (-0.375, -0.125, 0.125, 0.375)]


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 1.0), (0.3, 0.3)])
@pytest.mark.parametrize("degrees", [0, 17, 30, 45, 71, 90])
@pytest.mark.parametrize("width_pixels", [5.0, 12.4, 30.0])
def test_rectangles(spacing: Spacing, degrees: float, width_pixels: float) -> None:
    """The mean over places on the grid: whether a row of centres is in or not is chance."""
    pixel, circles, chords = max(spacing), [], []
    width = width_pixels * pixel
    shape = (int(3.4 * width / spacing[0]) + 8, int(3.4 * width / spacing[1]) + 8)
    for off in PLACES:
        found = width_2d(_rectangle(shape, spacing, (3 * width, width), math.radians(degrees), off), spacing)
        assert found is not None and found.chord_mm is not None
        circles.append(found.circle_mm)
        chords.append(found.chord_mm)
    assert np.mean(circles) == pytest.approx(width, abs=0.25 * pixel)
    assert np.mean(chords) == pytest.approx(width, abs=0.2 * pixel)
    assert max(abs(np.array(circles + chords) - width)) < 0.75 * pixel


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.4, 1.0), (0.15, 0.15)])
@pytest.mark.parametrize("angle", [0.0, 0.5, math.pi / 4, 2.0])
def test_ellipses(spacing: Spacing, angle: float) -> None:
    pixel = max(spacing)
    shape = (int(60 / spacing[0] * pixel), int(60 / spacing[1] * pixel))
    circles, chords = [], []
    for off in PLACES:
        truth = Ellipse(((30 + off[0]) * pixel, (30 + off[1]) * pixel), (20.0 * pixel, 8.0 * pixel), angle)
        found = width_2d(filled(shape, spacing, truth), spacing)
        assert found is not None and found.chord_mm is not None and found.chord_ends_mm is not None
        circles.append(found.circle_mm)
        chords.append(found.chord_mm)
        assert found.circle_centre_mm == pytest.approx(truth.centre_yx, abs=4 * pixel)
        (top, left), (bottom, right) = found.chord_ends_mm
        assert ((top + bottom) / 2, (left + right) / 2) == pytest.approx(truth.centre_yx, abs=0.6 * pixel)
        assert (bottom - top) * math.sin(angle) + (right - left) * math.cos(angle) == pytest.approx(0, abs=0.8 * pixel)
    assert np.mean(circles) == pytest.approx(16 * pixel, abs=0.25 * pixel)
    assert np.mean(chords) == pytest.approx(16 * pixel, abs=0.15 * pixel)


def test_whole_rows_and_columns_are_exact() -> None:
    for rows in (4, 5, 10):
        mask = np.zeros((40, 60), bool)
        mask[10 : 10 + rows, 5:50] = True
        found = width_2d(mask, (0.7, 0.2))
        assert found is not None
        assert found.chord_mm == pytest.approx(rows * 0.7, abs=0.02)
        assert found.circle_mm == pytest.approx(rows * 0.7, abs=0.02)
        assert not found.touches_border


def test_the_widest_place_counts_for_the_circle_and_the_middle_for_the_chord() -> None:
    mask = np.zeros((60, 120), bool)
    mask[28:34, 10:100] = True
    mask |= filled((60, 120), (1.0, 1.0), Ellipse((30.5, 20.0), (12.0, 12.0), 0.0))
    found = width_2d(mask, (1.0, 1.0))
    assert found is not None and found.chord_mm is not None
    assert found.circle_mm == pytest.approx(24, abs=0.6)
    assert found.circle_centre_mm == pytest.approx((30.5, 20.0), abs=1)
    assert found.chord_mm == pytest.approx(6, abs=0.3)


def test_a_ring_has_a_circle_but_no_chord_through_its_middle() -> None:
    ring = filled((80, 80), (1.0, 1.0), Ellipse((40.0, 40.0), (30.0, 30.0), 0.0))
    ring &= ~filled((80, 80), (1.0, 1.0), Ellipse((40.0, 40.0), (20.0, 20.0), 0.0))
    found = width_2d(ring, (1.0, 1.0))
    assert found is not None and found.chord_mm is None and found.chord_ends_mm is None
    assert found.circle_mm == pytest.approx(10, abs=0.6)


def test_border_and_nothing() -> None:
    mask = np.zeros((30, 30), bool)
    assert width_2d(mask, (1.0, 1.0)) is None
    mask[0:6, 5:25] = True
    found = width_2d(mask, (1.0, 1.0))
    assert found is not None and found.touches_border
    assert found.circle_mm == pytest.approx(6, abs=0.1)
    mask[:] = False
    mask[10, 10] = True
    tiny = width_2d(mask, (1.0, 1.0))
    assert tiny is None or tiny.circle_mm < 1.5
