"""All figures of shapes whose areas, volumes and distances are known from geometry."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from autoseg.metrics.scoring import score_masks
from autoseg.metrics.structures import ScoredStructure
from autoseg.records import StructureScores

SHAPE = ScoredStructure("shape", frozenset({1}), frozenset({1}), True)


def _scores(reference: np.ndarray, predicted: np.ndarray, spacing: Sequence[float], tolerance_mm: float = 1.0) -> StructureScores:
    masks = reference.astype(np.int16), predicted.astype(np.uint8)
    return score_masks(*masks, (SHAPE,), spacing, tolerance_mm=tolerance_mm)["shape"]


def _ellipse(centre_mm: Sequence[float], axes_mm: Sequence[float], shape: Sequence[int], spacing: Sequence[float]) -> np.ndarray:
    """Pixels whose centre lies inside; any rank."""
    grid = np.meshgrid(*(np.arange(n) * step for n, step in zip(shape, spacing, strict=True)), indexing="ij")
    return sum(((x - c) / a) ** 2 for x, c, a in zip(grid, centre_mm, axes_mm, strict=True)) <= 1  # type: ignore[return-value]


def _box(shape: Sequence[int], *ranges: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*ends) for ends in ranges)] = True
    return mask


def test_concentric_circles_of_10_and_12_mm() -> None:
    spacing = (0.1, 0.1)
    reference, predicted = (_ellipse((15.0, 15.0), (r, r), (300, 300), spacing) for r in (10.0, 12.0))
    found = _scores(reference, predicted, spacing)
    assert found.reference_size == pytest.approx(math.pi * 100, rel=0.002)
    assert found.predicted_size == pytest.approx(math.pi * 144, rel=0.002)
    assert found.size_error == pytest.approx(math.pi * 44, rel=0.01)
    assert found.relative_size_error == pytest.approx(0.44, abs=0.005)
    assert found.dice == pytest.approx(2 * 100 / (100 + 144), abs=0.002)
    assert found.iou == pytest.approx(100 / 144, abs=0.002)
    assert (found.precision, found.recall) == (pytest.approx(100 / 144, abs=0.002), 1.0)
    for distance in (found.hd_mm, found.hd95_mm, found.assd_mm):
        assert distance == pytest.approx(2.0, abs=0.1)
    assert found.surface_dice == 0.0
    assert _scores(reference, predicted, spacing, 2.2).surface_dice == 1.0


def test_ellipse_in_pixels_that_are_not_square() -> None:
    """ASSD and surface Dice are means over surface pixels, which are denser along one axis here: docs/metrics.md tells by how much."""

    def of(spacing: tuple[float, float]) -> StructureScores:
        shape = (round(60 / spacing[0]), round(80 / spacing[1]))
        reference = _ellipse((30.0, 40.0), (20.0, 30.0), shape, spacing)
        return _scores(reference, _ellipse((30.0, 43.0), (20.0, 30.0), shape, spacing), spacing, 2.0)

    flat, square = of((0.5, 0.125)), of((0.125, 0.125))
    assert flat.reference_size == pytest.approx(math.pi * 20 * 30, rel=0.002)
    assert flat.relative_size_error == pytest.approx(0.0, abs=0.002)
    assert flat.hd_mm == pytest.approx(3.0, abs=0.15), "the tips are 3 mm apart, and nothing is more"
    for figure, within in {"dice": 0.002, "hd_mm": 0.03, "hd95_mm": 0.1}.items():
        assert getattr(flat, figure) == pytest.approx(getattr(square, figure), rel=within), figure


def test_square_shifted_by_two_pixels() -> None:
    reference, predicted = _box((40, 40), (10, 30), (10, 30)), _box((40, 40), (10, 30), (12, 32))
    found = _scores(reference, predicted, (0.3, 0.25), tolerance_mm=0.25)
    assert found.dice == pytest.approx(0.9) and found.iou == pytest.approx(18 / 22)
    assert found.precision == found.recall == pytest.approx(0.9)
    assert found.reference_size == found.predicted_size == pytest.approx(400 * 0.3 * 0.25) and found.size_error == 0.0
    assert found.hd_mm == pytest.approx(0.5) and found.hd95_mm == pytest.approx(0.5)
    left = [0.5] * 20  # of the outline's 76 pixels: the column at the left end is two columns from that of the other square,
    next_to_it = [0.25] * 2  # its neighbours in the top and bottom row are one,
    right = [
        min(0.5, 0.3 * min(row, 19 - row)) for row in range(20)
    ]  # the right end lies within, near the other's end, top or bottom
    on_the_other = [0.0] * 34  # and the rest of the top and bottom rows are the other's, too
    distances = left + next_to_it + right + on_the_other
    assert len(distances) == 76
    assert found.assd_mm == pytest.approx(sum(distances) / 76)
    assert found.surface_dice == pytest.approx(sum(distance <= 0.25 for distance in distances) / 76)


def test_boxes_of_thick_slices() -> None:
    """Voxels of 4 x 0.5 x 1 mm; the prediction has a slice more on one side, and is as long as the reference elsewhere."""
    shape, spacing = (12, 40, 40), (4.0, 0.5, 1.0)
    reference, predicted = _box(shape, (3, 8), (10, 30), (10, 30)), _box(shape, (3, 9), (10, 30), (10, 30))
    found = _scores(reference, predicted, spacing)
    assert found.reference_size == pytest.approx(5 * 20 * 20 * 2 / 1000) and found.predicted_size == pytest.approx(4.8)
    assert found.size_error == pytest.approx(0.8) and found.relative_size_error == pytest.approx(0.2)
    assert found.hd_mm == pytest.approx(4.0), "a slice"
    assert found.dice == pytest.approx(2 * 5 / 11)
    moved = _box(shape, (3, 8), (13, 33), (10, 30))
    assert _scores(reference, moved, spacing).hd_mm == pytest.approx(1.5), "three rows of half a millimetre"
    assert _scores(reference, moved, spacing, tolerance_mm=1.5).surface_dice == 1.0
    assert 0 < _scores(reference, moved, spacing, tolerance_mm=1.4).surface_dice < 1.0  # type: ignore[operator]


def test_balls_of_one_and_eight_ml() -> None:
    radius = (3 / (4 * math.pi) * 1000) ** (1 / 3)  # mm, of 1 ml
    spacing, shape = (0.5, 0.5, 0.5), (100, 100, 100)
    one, eight = (_ellipse((25.0, 25.0, 25.0), (r, r, r), shape, spacing) for r in (radius, 2 * radius))
    found = _scores(one, eight, spacing)
    assert found.reference_size == pytest.approx(1.0, rel=0.01) and found.predicted_size == pytest.approx(8.0, rel=0.01)
    assert found.relative_size_error == pytest.approx(7.0, rel=0.02)
    assert found.assd_mm == pytest.approx(radius, rel=0.05)
    assert _scores(eight, one, spacing).relative_size_error == pytest.approx(-7 / 8, rel=0.01)
