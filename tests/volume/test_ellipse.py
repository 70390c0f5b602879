from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import DataError
from autoseg.volume.ellipse import Ellipse, fill_ellipse, fit_ellipse
from autoseg.volume.files import read


def outline(ellipse: Ellipse, points: int = 200, part: float = 1.0) -> np.ndarray:
    t = np.linspace(0, 2 * math.pi * part, points, endpoint=False)
    u, v = ellipse.semi_axes[0] * np.cos(t), ellipse.semi_axes[1] * np.sin(t)
    cosine, sine = math.cos(ellipse.angle_rad), math.sin(ellipse.angle_rad)
    return np.stack([ellipse.centre_yx[0] + u * sine + v * cosine, ellipse.centre_yx[1] + u * cosine - v * sine], axis=1)


@pytest.mark.parametrize("part", [1.0, 0.4])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (5000.0, -3000.0)])
def test_exact_points_give_the_ellipse_back(centre: tuple[float, float], part: float) -> None:
    truth = Ellipse(centre, (200.0, 130.0), 0.6)
    found = fit_ellipse(outline(truth, part=part))
    np.testing.assert_allclose(found.centre_yx, centre, atol=1e-6)
    np.testing.assert_allclose(found.semi_axes, (200, 130), rtol=1e-8)
    assert found.angle_rad == pytest.approx(0.6, abs=1e-8)


def test_noise_moves_the_fit_by_less_than_the_noise() -> None:
    truth = Ellipse((270.0, 400.0), (200.0, 130.0), 2.5)
    noisy = outline(truth, 2000) + np.random.default_rng(0).normal(0, 1, (2000, 2))
    found = fit_ellipse(noisy)
    np.testing.assert_allclose(found.semi_axes, (200, 130), atol=0.3)
    np.testing.assert_allclose(found.centre_yx, truth.centre_yx, atol=0.2)


def test_perimeter_of_a_circle_and_of_a_known_ellipse() -> None:
    assert Ellipse((0, 0), (10, 10), 0).perimeter() == pytest.approx(2 * math.pi * 10)
    assert Ellipse((0, 0), (2, 1), 0).perimeter() == pytest.approx(9.68844822, abs=1e-7)  # 8 E(3/4)


def test_scaled_points_give_millimetres() -> None:
    points = outline(Ellipse((50.0, 60.0), (40.0, 20.0), 0.0)) * np.array([0.5, 0.25])  # 20 across y, 40 along x
    found = fit_ellipse(points)
    np.testing.assert_allclose(sorted(found.semi_axes), [10, 10], rtol=1e-7)


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 2)),
        np.array([[0, 0], [0, 1], [1, 0], [1, 1], [2, 2.0]]),
        np.stack([np.arange(20.0), 2 * np.arange(20.0)], axis=1),
        np.ones((10, 2)),
    ],
    ids=["none", "five", "line", "one spot"],
)
def test_what_is_no_ellipse_is_refused(points: np.ndarray) -> None:
    with pytest.raises(DataError, match="draw the outline again"):
        fit_ellipse(points)


def test_filled_area_is_that_of_the_ellipse_and_is_cut_at_the_border() -> None:
    filled = fill_ellipse((300, 400), Ellipse((150.0, 200.0), (120.0, 80.0), 0.3))
    assert filled.sum() == pytest.approx(math.pi * 120 * 80, rel=1e-3)
    half = fill_ellipse((300, 400), Ellipse((0.0, 200.0), (120.0, 80.0), 0.0))
    assert half.sum() == pytest.approx(math.pi * 120 * 80 / 2 + 120, rel=2e-3)  # the row through the centre counts whole
    assert not fill_ellipse((10, 10), Ellipse((50.0, 50.0), (5.0, 4.0), 0.0)).any()
    assert np.argwhere(fill_ellipse((9, 9), Ellipse((4.0, 4.0), (2.0, 1.0), 0.0))).tolist() == [
        [3, 4], [4, 2], [4, 3], [4, 4], [4, 5], [4, 6], [5, 4],
    ]  # fmt: skip


def test_filled_where_pixels_are_not_square() -> None:
    """A circle of 4 mm: rows 2 mm apart, columns 1 mm, cut off by the left border."""
    circle = Ellipse((8.0, 3.0), (4.0, 4.0), 0.0)
    filled = fill_ellipse((10, 20), circle, (2.0, 1.0))
    y, x = np.indices((10, 20))
    assert np.array_equal(filled, np.hypot(2 * y - 8.0, x - 3.0) <= 4)
    assert np.flatnonzero(filled.any(axis=1)).tolist() == [2, 3, 4, 5, 6] and filled[4].sum() == 8
    shapes = Ellipse((31.0, 20.0), (25.0, 11.0), 2.0)
    assert fill_ellipse((200, 100), shapes, (0.4, 0.9)).sum() * 0.36 == pytest.approx(math.pi * 25 * 11, rel=0.02)


def test_head_circumference_of_real_annotations(shared_data: Path) -> None:
    folder = shared_data / "HC18"
    with (folder / "training_set_pixel_size_and_HC.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    chosen = rows[::20] + [row for row in rows if row[0] in ("186_HC.png", "346_HC.png", "628_2HC.png", "787_HC.png")]
    assert len(chosen) > 15
    for name, pixel_mm, head_mm in chosen:
        drawn = read(folder / "training_set" / name.replace(".png", "_Annotation.png")).array[0]
        found = fit_ellipse(np.argwhere(drawn > 0)).perimeter() * float(pixel_mm)
        assert found == pytest.approx(float(head_mm), abs=0.05), name
