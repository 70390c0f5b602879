"""Head circumference of ellipses whose perimeter is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ellipe

from autoseg.metrics.biometry import head_circumference_mm, head_ellipse_mm


def _ellipse_mm(
    shape: tuple[int, int], spacing: tuple[float, float], centre: tuple[float, float], axes: tuple[float, float], angle: float
) -> np.ndarray:
    """Pixels whose centre lies in an ellipse given in mm."""
    y, x = np.indices(shape)
    y, x = y * spacing[0] - centre[0], x * spacing[1] - centre[1]
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return (along / axes[0]) ** 2 + (across / axes[1]) ** 2 <= 1


def _perimeter(a: float, b: float) -> float:
    """The exact perimeter, by the complete elliptic integral."""
    return float(4 * a * ellipe(1 - (b / a) ** 2))


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.3, math.pi / 2])
@pytest.mark.parametrize(
    ("shape", "spacing", "centre", "axes"),
    [
        ((540, 800), (0.15, 0.15), (40.0, 60.0), (50.0, 38.0)),
        ((160, 240), (1.0, 1.0), (80.3, 119.6), (60.0, 45.0)),
        ((160, 240), (1.25, 0.5), (100.0, 60.0), (55.0, 42.0)),
        ((300, 160), (0.4, 0.9), (60.0, 72.0), (52.0, 52.0)),
    ],
)
def test_filled_ellipses(
    shape: tuple[int, int], spacing: tuple[float, float], centre: tuple[float, float], axes: tuple[float, float], angle: float
) -> None:
    measured = head_circumference_mm(_ellipse_mm(shape, spacing, centre, axes, angle), spacing)
    assert measured == pytest.approx(_perimeter(*axes), rel=0.003)


def test_no_bias_over_many_small_circles() -> None:
    random = np.random.default_rng(0)
    errors = []
    for _ in range(60):
        radius = random.uniform(8, 16)
        centre = tuple(random.uniform(20, 21, 2))
        measured = head_circumference_mm(_ellipse_mm((42, 42), (1.0, 1.0), centre, (radius, radius), 0.0), (1.0, 1.0))
        assert measured is not None
        errors.append(measured / (2 * math.pi) - radius)
    assert abs(np.mean(errors)) < 0.03  # pixels; outermost inside pixels would be about 0.4 too far in


def test_ellipse_lies_where_it_was_drawn() -> None:
    ellipse = head_ellipse_mm(_ellipse_mm((200, 300), (0.8, 0.4), (75.0, 62.0), (45.0, 30.0), 0.5), (0.8, 0.4))
    assert ellipse is not None
    assert ellipse.centre_yx == pytest.approx((75.0, 62.0), abs=0.05)
    assert ellipse.semi_axes == pytest.approx((45.0, 30.0), rel=0.003)
    assert ellipse.angle_rad == pytest.approx(0.5, abs=0.01)


def test_specks_and_holes_do_not_count() -> None:
    mask = _ellipse_mm((160, 240), (1.0, 1.0), (80.0, 120.0), (60.0, 45.0), 0.2)
    clean = head_circumference_mm(mask, (1.0, 1.0))
    mask[70:80, 110:130] = False
    mask[2:6, 2:8] = True
    assert head_circumference_mm(mask, (1.0, 1.0)) == clean


def test_head_cut_off_by_the_border_is_completed() -> None:
    mask = _ellipse_mm((160, 240), (1.0, 1.0), (30.0, 120.0), (60.0, 45.0), 0.0)
    assert mask[0].any()
    assert head_circumference_mm(mask, (1.0, 1.0)) == pytest.approx(_perimeter(60.0, 45.0), rel=0.005)


def test_nothing_to_measure() -> None:
    mask = np.zeros((40, 40), bool)
    assert head_circumference_mm(mask, (1.0, 1.0)) is None
    mask[10:13, 10:13] = True
    assert head_circumference_mm(mask, (1.0, 1.0)) is None
    assert head_circumference_mm(np.ones((40, 40), bool), (1.0, 1.0)) is None  # no outline within the picture
    line = np.zeros((40, 40), bool)
    line[20] = True
    assert head_circumference_mm(line, (1.0, 1.0)) is None


def test_volumes_are_refused() -> None:
    with pytest.raises(ValueError, match="2D"):
        head_circumference_mm(np.ones((3, 3, 3), bool), (1.0, 1.0, 1.0))
