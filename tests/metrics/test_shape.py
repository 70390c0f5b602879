"""Shapes whose measures can be worked by hand."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from autoseg.metrics.shape import _moments, shape_2d, shape_3d
from autoseg.volume.ellipse import Ellipse

from .head_shapes import Spacing, filled


def _rectangle(
    shape: tuple[int, int], spacing: Spacing, sides: tuple[float, float], angle: float, off: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """Pixels whose centre lies in a rectangle in the middle (`off` by a part of a pixel), its first side at `angle` from the x axis."""
    y, x = np.indices(shape)
    y, x = (y - shape[0] / 2 - off[0]) * spacing[0], (x - shape[1] / 2 - off[1]) * spacing[1]
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return (np.abs(along) <= sides[0] / 2) & (np.abs(across) <= sides[1] / 2)


def test_one_pixel() -> None:
    mask = np.zeros((9, 9), bool)
    mask[3, 5] = True
    shape = shape_2d(mask, (2.0, 3.0))
    assert shape is not None
    assert shape.area_mm2 == 6.0
    assert shape.largest_diameter_mm == 3.0
    assert shape.ellipse.centre_yx == (6.0, 15.0)
    assert shape.ellipse.semi_axes == pytest.approx((3 / math.sqrt(3), 2 / math.sqrt(3)))  # 2 sqrt(side^2 / 12)
    assert shape.ellipse.angle_rad == pytest.approx(0.0)


def test_a_block_of_pixels() -> None:
    mask = np.zeros((20, 30), bool)
    mask[4:10, 8:18] = True  # 6 x 10
    shape = shape_2d(mask, (1.0, 1.0))
    assert shape is not None
    assert shape.area_mm2 == 60
    assert shape.ellipse.centre_yx == (6.5, 12.5)
    assert shape.ellipse.semi_axes == pytest.approx((10 / math.sqrt(3), 6 / math.sqrt(3)))
    assert shape.largest_diameter_mm == pytest.approx(math.hypot(10, 5))  # middles of pixel sides; corners are 11.66 apart


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 1.2)])
@pytest.mark.parametrize("angle", [0.0, 0.6, 2.2])
def test_an_ellipse(spacing: Spacing, angle: float) -> None:
    truth = Ellipse((70.0, 110.0), (60.0, 35.0), angle)
    shape = shape_2d(filled((300, 260), spacing, truth), spacing)
    assert shape is not None
    assert shape.area_mm2 == pytest.approx(math.pi * 60 * 35, rel=0.005)
    assert shape.perimeter_mm == pytest.approx(truth.perimeter(), rel=0.02)
    assert shape.ellipse.semi_axes == pytest.approx(truth.semi_axes, rel=0.005)
    assert shape.ellipse.centre_yx == pytest.approx(truth.centre_yx, abs=0.1)
    assert math.sin(shape.ellipse.angle_rad - angle) == pytest.approx(0, abs=0.01), "an axis has no direction"
    assert shape.largest_diameter_mm == pytest.approx(120, abs=1.2)


@pytest.mark.parametrize("radius", [20.0, 60.0])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 2.0), (0.5, 1.2)])
def test_perimeter_of_discs(radius: float, spacing: Spacing) -> None:
    shape = shape_2d(
        filled((300, 300), spacing, Ellipse((150.0 * spacing[0], 150.0 * spacing[1]), (radius, radius), 0.0)), spacing
    )
    assert shape is not None and shape.perimeter_mm == pytest.approx(2 * math.pi * radius, rel=0.02)


def test_perimeter_of_turned_rectangles_and_its_error() -> None:
    def error(degrees: float, spacing: Spacing) -> float:
        shape = shape_2d(
            _rectangle((int(160 / spacing[0]), int(160 / spacing[1])), spacing, (100.0, 60.0), math.radians(degrees)), spacing
        )
        assert shape is not None
        return shape.perimeter_mm / 320 - 1

    degrees = (0, 10, 22.5, 30, 45, 71, 90)
    assert max(abs(error(angle, (1.0, 1.0))) for angle in degrees) < 0.012  # corners are rounded
    assert max(abs(error(angle, (1.0, 2.0))) for angle in degrees) < 0.018
    assert max(abs(error(angle, (0.3, 1.5))) for angle in degrees) < 0.07  # pixels five times as wide as high


def test_touching_the_border_and_several_pieces_are_measured_as_they_stand() -> None:
    mask = np.zeros((40, 40), bool)
    mask[:10, :10] = True
    corner = shape_2d(mask, (1.0, 1.0))
    middle = shape_2d(np.roll(mask, (12, 12), (0, 1)), (1.0, 1.0))
    assert corner is not None and middle is not None
    assert corner.perimeter_mm == pytest.approx(middle.perimeter_mm)
    mask[30:35, 30:35] = True
    both = shape_2d(mask, (1.0, 1.0))
    assert both is not None and both.area_mm2 == 125


def test_ellipsoid() -> None:
    spacing = (2.0, 0.8, 1.0)
    z, y, x = np.indices((40, 90, 70))
    z, y, x = z * spacing[0] - 40, y * spacing[1] - 36, x * spacing[2] - 35
    shape = shape_3d((z / 15) ** 2 + (y / 30) ** 2 + (x / 20) ** 2 <= 1, spacing)
    assert shape is not None
    assert shape.volume_ml == pytest.approx(4 / 3 * math.pi * 15 * 30 * 20 / 1000, rel=0.01)
    assert shape.axes_mm == pytest.approx((60, 40, 30), rel=0.01)
    assert shape.diameters_mm == pytest.approx((60, 40, 30), abs=1.5)
    area = 4 * math.pi * (((15 * 30) ** 1.6075 + (15 * 20) ** 1.6075 + (30 * 20) ** 1.6075) / 3) ** (1 / 1.6075)  # Thomsen, 1 %
    assert shape.surface_mm2 == pytest.approx(area, rel=0.03)


def test_surface_of_a_sphere_and_of_a_box() -> None:
    z, y, x = np.indices((50, 50, 50)) - 24.5
    sphere = shape_3d(np.sqrt(z**2 + y**2 + x**2) <= 20, (1.0, 1.0, 1.0))
    assert sphere is not None and sphere.surface_mm2 == pytest.approx(4 * math.pi * 400, rel=0.01)
    block = np.zeros((50, 50, 50), bool)
    block[5:25, 5:35, 5:45] = True
    box = shape_3d(block, (1.0, 1.0, 1.0))
    assert box is not None and box.volume_ml == 24.0
    assert box.surface_mm2 == pytest.approx(
        2 * (20 * 30 + 30 * 40 + 20 * 40), rel=0.1
    )  # flat sides along the grid are told too small
    assert box.axes_mm == pytest.approx([side * math.sqrt(5 / 3) for side in (40, 30, 20)])


def test_diameters_of_a_bar_across_the_grid() -> None:
    bar = np.zeros((30, 60, 60), bool)
    for step in range(40):
        bar[13:17, 10 + step : 13 + step, 10 + step : 13 + step] = True
    shape = shape_3d(bar, (1.0, 1.0, 1.0))
    assert shape is not None
    first, second, third = shape.diameters_mm
    assert first == pytest.approx(math.hypot(41 * math.sqrt(2) + 1, 3), abs=1.5)
    assert second >= third and third < 6 < first


def test_nothing() -> None:
    assert shape_2d(np.zeros((4, 4), bool), (1.0, 1.0)) is None
    assert shape_3d(np.zeros((4, 4, 4), bool), (1.0, 1.0, 1.0)) is None
    one = np.zeros((4, 4, 4), bool)
    one[1, 2, 3] = True
    shape = shape_3d(one, (3.0, 1.0, 2.0))
    assert shape is not None and shape.volume_ml == pytest.approx(0.006)
    assert shape.diameters_mm == pytest.approx((3, 2, 1))
    with pytest.raises(ValueError, match="2D mask"):
        shape_2d(one, (1.0, 1.0, 1.0))


@pytest.mark.parametrize("spacing", [(0.3, 1.7), (2.5, 0.8, 1.1)])
def test_moments_are_those_of_the_pixels_one_by_one(spacing: tuple[float, ...]) -> None:
    random = np.random.default_rng(3)
    for share in (0.02, 0.4, 1.0):
        mask = random.random((30, 17, 23)[: len(spacing)]) < share
        offset = np.array((100, 7, 3)[: len(spacing)])
        centre, variances, axes = _moments(mask, offset, spacing)
        points = (np.argwhere(mask) + offset) * np.array(spacing)
        covariance = np.atleast_2d(np.cov(points.T, bias=True)) + np.diag(np.square(spacing)) / 12
        assert centre == pytest.approx(points.mean(axis=0), rel=1e-9)
        assert variances[::-1] == pytest.approx(np.linalg.eigvalsh(covariance), rel=1e-9)
        assert axes @ np.diag(variances) @ axes.T == pytest.approx(covariance, rel=1e-9, abs=1e-9)


def test_moments_take_less_than_the_mask() -> None:
    mask = np.ones((80, 100, 120), bool)
    tracemalloc.start()
    _moments(mask, np.zeros(3), (1.0, 1.0, 1.0))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < mask.size  # bytes
