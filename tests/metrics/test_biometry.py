"""Head circumference of ellipses whose perimeter is known."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ellipe

from autoseg.metrics.biometry import fit_head, head_circumference_mm, head_ellipse_mm
from autoseg.volume.ellipse import Ellipse, fill_ellipse, fit_ellipse
from autoseg.volume.files import read

from .head_shapes import damaged, filled


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
    for _ in range(30):
        radius = random.uniform(8, 16)
        centre = tuple(random.uniform(20, 21, 2))
        measured = head_circumference_mm(_ellipse_mm((42, 42), (1.0, 1.0), centre, (radius, radius), 0.0), (1.0, 1.0))
        assert measured is not None
        errors.append(measured / (2 * math.pi) - radius)
    assert abs(np.mean(errors)) < 0.04  # pixels; outermost inside pixels would be about 0.4 too far in


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


HEAD = Ellipse((100.0, 150.0), (80.0, 62.0), 0.3)
SHAPE = (200, 300)


def test_a_good_head_has_no_doubts() -> None:
    fit = fit_head(filled(SHAPE, (1.0, 1.0), HEAD), (1.0, 1.0))
    assert fit.failure is None and fit.warnings == ()
    assert fit.cephalic_index == pytest.approx(77.5, abs=0.3)
    assert (fit.off, fit.seen) == (0.0, 1.0)
    assert fit.residual is not None and fit.residual < 0.01


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (np.zeros(SHAPE, bool), "there is no head"),
        (np.pad(np.ones((4, 4), bool), 30), "too small: 16 pixels"),
        (np.pad(np.ones((60, 60), bool), 40), "not elliptical"),
        (np.tril(np.ones((90, 90), bool))[5:, :80] & np.pad(np.ones((70, 60), bool), ((5, 10), (5, 15))), "not elliptical"),
        (np.pad(np.ones((30, 160), bool), 30), "not elliptical"),
    ],
    ids=["none", "small", "square", "triangle", "bar"],
)
def test_what_is_no_head_has_a_reason_and_no_number(mask: np.ndarray, reason: str) -> None:
    fit = fit_head(mask, (0.5, 0.5))
    assert fit.ellipse is None and fit.cephalic_index is None
    assert fit.failure is not None and reason in fit.failure
    assert head_circumference_mm(mask, (0.5, 0.5)) is None


def test_two_pieces_of_similar_size_are_not_measured_and_a_smaller_one_is_told() -> None:
    mask = filled(SHAPE, (1.0, 1.0), Ellipse((60.0, 80.0), (55.0, 44.0), 0.0))
    twin = mask | filled(SHAPE, (1.0, 1.0), Ellipse((140.0, 220.0), (45.0, 38.0), 0.0))
    assert "several pieces; the second is 71 %" in str(fit_head(twin, (1.0, 1.0)).failure)
    speck = mask | filled(SHAPE, (1.0, 1.0), Ellipse((150.0, 230.0), (18.0, 15.0), 0.0))
    fit = fit_head(speck, (1.0, 1.0))
    assert fit.ellipse == fit_head(mask, (1.0, 1.0)).ellipse
    assert len(fit.warnings) == 1 and "another piece of 11 %" in fit.warnings[0]


def test_cut_off_a_little_is_a_doubt_and_by_half_a_failure() -> None:
    def cut(row: int) -> np.ndarray:
        return filled(SHAPE, (1.0, 1.0), HEAD)[row:]

    assert fit_head(cut(42), (1.0, 1.0)).warnings == ()
    (doubt,) = fit_head(cut(70), (1.0, 1.0)).warnings
    assert "backs only" in doubt
    assert head_circumference_mm(cut(70), (1.0, 1.0)) == pytest.approx(HEAD.perimeter(), rel=0.004)
    assert fit_head(cut(110), (1.0, 1.0)).failure is not None


def test_a_bump_is_left_out_and_told() -> None:
    fit = fit_head(damaged(SHAPE, (1.0, 1.0), HEAD, share=0.25, height=0.2, at=0.5), (1.0, 1.0))
    assert fit.ellipse is not None and fit.ellipse.perimeter() == pytest.approx(HEAD.perimeter(), rel=0.002)
    assert any("of the outline is off the ellipse" in doubt for doubt in fit.warnings)


def test_an_unusual_shape_is_told() -> None:
    (doubt,) = fit_head(filled(SHAPE, (1.0, 1.0), Ellipse((100.0, 150.0), (90.0, 50.0), 0.0)), (1.0, 1.0)).warnings
    assert "unusually long (cephalic index 56 %)" in doubt
    (doubt,) = fit_head(filled(SHAPE, (1.0, 1.0), Ellipse((100.0, 150.0), (70.0, 68.0), 0.0)), (1.0, 1.0)).warnings
    assert "unusually round" in doubt


def test_a_mask_that_holds_its_outline_reads_too_long(shared_data: Path) -> None:
    """The half pixel matters: real annotations filled to their centre line, and with their line, against the table."""
    folder = shared_data / "HC18"
    with (folder / "training_set_pixel_size_and_HC.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1::25]
    to_centre, with_line = [], []
    for name, pixel_mm, head_mm in rows:
        drawn = read(folder / "training_set" / name.replace(".png", "_Annotation.png")).array[0] > 0
        annotated = fit_ellipse(np.argwhere(drawn))
        mask = fill_ellipse((drawn.shape[0], drawn.shape[1]), annotated)
        for errors, measured in ((to_centre, mask), (with_line, mask | drawn)):
            length = head_circumference_mm(measured, (float(pixel_mm),) * 2)
            assert length is not None
            errors.append(length - float(head_mm))
    assert np.abs(to_centre).max() < 0.1
    assert 0.5 < np.mean(with_line) < 1.7
