"""Ellipses behind outlines that are damaged, cut off, or both; where the plain fit goes wrong, that is shown, too."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from autoseg.errors import DataError
from autoseg.metrics.biometry import outline_of
from autoseg.metrics.robust_ellipse import Outline, distances, fit_robust, lengths_mm
from autoseg.metrics.surface import bounding_box
from autoseg.volume.ellipse import Ellipse, fit_ellipse

from .head_shapes import Spacing, damaged, filled

SHAPE = (300, 400)


def _outline(mask: np.ndarray, spacing: Spacing = (1.0, 1.0)) -> Outline:
    box = bounding_box(mask)
    assert box is not None
    return outline_of(mask[box], box, mask.shape, spacing)


def _error(found: Ellipse, truth: Ellipse) -> float:
    """Of the perimeter, in per cent."""
    return 100 * (found.perimeter() / truth.perimeter() - 1)


def test_distance_to_a_circle_is_exact() -> None:
    circle = Ellipse((3.0, 4.0), (5.0, 5.0), 0.7)
    points = np.array([[3.0, 4.0], [3.0, 12.0], [10.0, 4.0], [6.0, 8.0]])
    assert distances(points, circle) == pytest.approx([-5, 3, 2, 0])


def test_distance_to_an_ellipse_on_its_axes_and_close_by() -> None:
    ellipse = Ellipse((0.0, 0.0), (6.0, 4.0), 0.0)
    assert distances(np.array([[0.0, 6.3], [4.2, 0.0], [0.0, 5.7]]), ellipse) == pytest.approx([0.3, 0.2, -0.3])
    t = np.linspace(0, 2 * math.pi, 50)
    normal = np.stack([np.sin(t) / 4, np.cos(t) / 6], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    off = distances(np.stack([4 * np.sin(t), 6 * np.cos(t)], axis=1) + 0.4 * normal, ellipse)
    assert off == pytest.approx(0.4, abs=0.01)  # a tenth of the minor half axis away, a fortieth of it wrong


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 1.2)])
def test_lengths_of_the_points_add_up_to_the_perimeter(spacing: Spacing) -> None:
    ellipse = Ellipse((70.0, 150.0), (60.0, 45.0), 0.6)
    outline = _outline(filled(SHAPE, spacing, ellipse), spacing)
    assert lengths_mm(outline, ellipse).sum() == pytest.approx(ellipse.perimeter(), rel=0.01)
    upper = outline.points_mm[:, 0] < 70.0
    assert lengths_mm(outline, ellipse)[upper].sum() == pytest.approx(ellipse.perimeter() / 2, rel=0.02)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.3, 0.3), (0.5, 1.2), (1.4, 0.6)])
@pytest.mark.parametrize("half_pixels", [12.0, 45.0, 110.0])
def test_whole_ellipses_of_many_sizes_and_angles(spacing: Spacing, half_pixels: float) -> None:
    random = np.random.default_rng(int(half_pixels))
    minor = half_pixels * math.sqrt(spacing[0] * spacing[1])
    for angle in (0.0, 0.5, 1.2, math.pi / 2, 2.4):
        truth = Ellipse(
            tuple(random.uniform(0.45, 0.55, 2) * SHAPE * np.array(spacing)), (minor * random.uniform(1.05, 1.4), minor), angle
        )
        found = fit_robust(_outline(filled((320, 400), spacing, truth), spacing))
        pixel = max(spacing)
        assert found.semi_axes == pytest.approx(truth.semi_axes, abs=0.12 * pixel)
        assert found.centre_yx == pytest.approx(truth.centre_yx, abs=0.1 * pixel)
        assert abs(_error(found, truth)) < 0.8 / half_pixels * 12  # per cent


def test_no_bias_over_many_small_ellipses() -> None:
    random = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        minor = random.uniform(9, 15)
        truth = Ellipse(tuple(random.uniform(25, 26, 2)), (minor * 1.25, minor), random.uniform(0, math.pi))
        found = fit_robust(_outline(filled((52, 52), (1.0, 1.0), truth)))
        errors.append(np.mean(found.semi_axes) - np.mean(truth.semi_axes))
    assert abs(np.mean(errors)) < 0.03  # pixels


@pytest.mark.parametrize("kind", ["hill", "step"])
@pytest.mark.parametrize("height", [-0.3, -0.1, 0.1, 0.3])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.25])
def test_bumps_notches_and_flat_cuts_are_seen_through(kind: str, height: float, share: float) -> None:
    truth, errors, plain = Ellipse((151.3, 201.8), (120.0, 95.0), 0.4), [], []
    for at in (0.0, 0.9, 2.5):
        outline = _outline(damaged(SHAPE, (1.0, 1.0), truth, share=share, height=height, at=at, kind=kind))
        errors.append(abs(_error(fit_robust(outline), truth)))
        plain.append(abs(_error(fit_ellipse(outline.points_mm), truth)))
    assert max(errors) < 0.15  # per cent; 0.3 mm of 200 mm
    assert max(plain) > 4 * max(errors) and max(plain) > 0.5


def test_a_spur_and_a_notch_at_once() -> None:
    truth = Ellipse((151.3, 201.8), (110.0, 88.0), 2.1)
    mask = damaged(SHAPE, (1.0, 1.0), truth, share=0.12, height=-0.2, at=0.3)
    mask[145:157, 200:390] = True  # as a shadow leaves it
    outline = _outline(mask)
    assert abs(_error(fit_robust(outline), truth)) < 0.1
    assert abs(_error(fit_ellipse(outline.points_mm), truth)) > 5


@pytest.mark.parametrize("missing", [0.2, 0.3, 0.4])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.6, 1.1)])
def test_heads_that_the_border_cuts_off_are_completed(missing: float, spacing: Spacing) -> None:
    for angle in (0.0, 0.7, math.pi / 2):
        whole = Ellipse((150.0 * spacing[0], 200.0 * spacing[1]), (85.0, 66.0), angle)
        mask, row = filled(SHAPE, spacing, whole), 0
        total = len(_outline(mask, spacing).points_mm)
        while len(_outline(mask[row:], spacing).points_mm) > (1 - missing) * total:
            row += 1
        truth = Ellipse((whole.centre_yx[0] - row * spacing[0], whole.centre_yx[1]), whole.semi_axes, angle)
        found = fit_robust(_outline(mask[row:], spacing))
        assert abs(_error(found, truth)) < (0.4 if missing < 0.4 else 1.0)
        assert found.semi_axes == pytest.approx(truth.semi_axes, rel=0.02)


def test_cut_off_and_with_a_bump() -> None:
    truth = Ellipse((60.0, 200.0), (110.0, 85.0), 0.2)
    mask = damaged(SHAPE, (1.0, 1.0), truth, share=0.12, height=0.15, at=1.3)
    outline = _outline(mask)
    assert abs(_error(fit_robust(outline), truth)) < 0.3
    assert abs(_error(fit_ellipse(outline.points_mm), truth)) > 1.5


def test_a_wavy_outline_is_fitted_as_a_whole() -> None:
    """Waves all around are no damage: whichever third were left out, the rest would not be the better head."""
    truth = Ellipse((151.3, 201.8), (120.0, 95.0), 0.4)
    t = np.linspace(0, 2 * math.pi, 900, endpoint=False)
    for phase in (0.0, 1.0, 2.0):
        wave = 1 + 0.02 * np.cos(3 * t + phase)
        points = np.stack([151.3 + 95 * wave * np.sin(t), 201.8 + 120 * wave * np.cos(t)], axis=1)
        outline = Outline(points, np.zeros(len(points), int), (1.0, 1.0))
        assert abs(_error(fit_robust(outline), truth)) < 0.3


def _of_points(count: int, form: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """A head with about so many crossings on its outline: `form` tells the radius by the turn, which no mirror leaves as it is."""
    half = count / 7.8  # as many crossings as its box has rows and columns, twice
    side = int(2.8 * half)
    y, x = np.indices((side, side)) - side / 2 + 0.2
    turn = np.arctan2(y, x)
    return np.hypot(x / 1.1, y / 0.85) <= half * form(turn, np.cos(turn))


@pytest.mark.parametrize("count", [900, 1100, 1900, 2094, 2900, 3100])
@pytest.mark.parametrize(
    "form",
    [lambda turn, cosine: 1 + 0.06 * cosine + 0.03 * cosine**2, lambda turn, cosine: 1 + 0.02 * np.cos(3 * turn + 0.5)],
    ids=["egg", "wavy"],
)
def test_a_mask_and_its_mirror_image_measure_the_same(count: int, form: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    mask = _of_points(count, form)
    outline = _outline(mask)
    assert len(outline.points_mm) == pytest.approx(count, rel=0.05)
    found = [fit_robust(_outline(one)) for one in (mask, mask[:, ::-1], mask[::-1], mask[::-1, ::-1], mask.T)]
    for other in found[1:]:
        assert abs(_error(other, found[0])) < 0.03  # per cent
        assert other.semi_axes == pytest.approx(found[0].semi_axes, rel=1e-3)


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.ones((10, 2)), np.stack([np.arange(20.0)] * 2, axis=1)])
def test_what_is_no_ellipse_is_refused(points: np.ndarray) -> None:
    with pytest.raises(DataError):
        fit_robust(Outline(points, np.zeros(len(points), int), (1.0, 1.0)))
