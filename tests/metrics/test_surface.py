"""Surface distances of shapes whose distances are known."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, distance_transform_edt

from autoseg.metrics.surface import (
    SurfaceDistances,
    assd_mm,
    bounding_box,
    diagonal_mm,
    hd95_mm,
    hd_mm,
    surface_dice,
    surface_distances,
)


def _distances(reference: np.ndarray, predicted: np.ndarray, spacing_mm: tuple[float, ...]) -> SurfaceDistances:
    found = surface_distances(reference, predicted, spacing_mm)
    assert found is not None
    return found


def _disc(radius: float, size: int = 64) -> np.ndarray:
    y, x = np.indices((size, size)) - size / 2
    return np.hypot(y, x) <= radius


def test_two_pixels_apart_along_each_axis() -> None:
    first, second = np.zeros((5, 9), bool), np.zeros((5, 9), bool)
    first[1, 2] = second[4, 6] = True
    found = _distances(first, second, (2.0, 0.5))
    assert found.from_reference.tolist() == pytest.approx([np.hypot(3 * 2.0, 4 * 0.5)])
    assert hd95_mm(found) == assd_mm(found) == pytest.approx(np.sqrt(40))


def test_square_shifted_by_one_pixel_row() -> None:
    reference, predicted = np.zeros((12, 12), bool), np.zeros((12, 12), bool)
    reference[3:7, 3:7] = True
    predicted[4:8, 3:7] = True
    found = _distances(reference, predicted, (3.0, 1.0))
    # of 12 outline pixels: top row 4 (outer two 3 mm from the other's corners; inner two 3 mm), its flanks lie on the other's
    # outline, and the two inner pixels of the bottom row are 1 mm from a flank of the other one
    assert sorted(found.from_reference.tolist()) == pytest.approx([0.0] * 6 + [1.0] * 2 + [3.0] * 4)
    assert assd_mm(found) == pytest.approx((2 * 1 + 4 * 3) / 12)
    assert hd95_mm(found) == hd_mm(found) == pytest.approx(3.0)
    assert surface_dice(found, 0.0) == pytest.approx(6 / 12)
    assert surface_dice(found, 1.0) == pytest.approx(8 / 12)
    assert surface_dice(found, 3.0) == 1.0


def test_hd_is_the_worst_of_both_directions() -> None:
    assert hd_mm(SurfaceDistances(np.array([0.0, 4.0]), np.array([1.0, 2.0, 3.0]))) == 4.0
    assert hd_mm(SurfaceDistances(np.array([0.0, 4.0]), np.array([9.0]))) == 9.0


def test_surface_dice_pools_both_directions() -> None:
    distances = SurfaceDistances(np.array([0.0, 0.5, 1.5, 2.5]), np.array([0.5, 3.0]))
    assert surface_dice(distances, 0.5) == pytest.approx(3 / 6)
    assert surface_dice(distances, 2.0) == pytest.approx(4 / 6)


def test_a_distance_that_is_the_tolerance_is_within_it_whatever_the_rounding() -> None:
    first, second = np.zeros((5, 9), bool), np.zeros((5, 9), bool)
    first[2, 0] = second[2, 3] = True
    found = _distances(first, second, (0.1, 0.1))
    assert found.from_reference[0] > 0.3, "three steps of 0.1 are 0.30000000000000004"
    assert surface_dice(found, 0.3) == 1.0 and surface_dice(found, 0.2999) == 0.0


def test_concentric_circles_are_two_apart() -> None:
    found = _distances(_disc(100, 256), _disc(120, 256), (0.1, 0.1))  # radii of 10 and 12 mm
    assert assd_mm(found) == pytest.approx(2.0, abs=0.03)
    assert hd95_mm(found) == pytest.approx(2.0, abs=0.08)
    doubled = _distances(_disc(100, 256), _disc(120, 256), (0.2, 0.2))
    assert assd_mm(doubled) == pytest.approx(2 * assd_mm(found))


def test_equal_masks_are_zero_apart() -> None:
    found = _distances(_disc(10), _disc(10), (0.3, 0.7))
    assert hd95_mm(found) == assd_mm(found) == 0.0


def test_hd95_is_the_larger_direction_and_not_the_pooled_percentile() -> None:
    found = SurfaceDistances(np.zeros(900), np.full(10, 7.0))
    assert hd95_mm(found) == 7.0  # pooled, 10 of 910 would vanish beyond the 95th percentile
    assert assd_mm(found) == pytest.approx(70 / 910)


def test_percentile_interpolates_between_distances() -> None:
    assert hd95_mm(SurfaceDistances(np.arange(11.0), np.zeros(3))) == pytest.approx(9.5)


def test_image_border_counts_as_outside() -> None:
    whole, inner = np.ones((5, 5), bool), np.zeros((5, 5), bool)
    inner[2, 2] = True
    found = _distances(whole, inner, (1.0, 1.0))
    assert len(found.from_reference) == 16
    assert found.from_predicted.tolist() == [2.0]


@pytest.mark.parametrize(("reference", "predicted"), [(True, False), (False, True), (False, False)])
def test_an_empty_mask_has_no_distance(reference: bool, predicted: bool) -> None:
    masks = [_disc(5) if full else np.zeros((64, 64), bool) for full in (reference, predicted)]
    assert surface_distances(masks[0], masks[1], (1.0, 1.0)) is None


def test_agrees_with_distance_maps_in_3d() -> None:
    random = np.random.default_rng(1)
    reference, predicted = random.random((6, 15, 17)) > 0.7, random.random((6, 15, 17)) > 0.9
    spacing = (3.0, 0.8, 1.1)
    outlines = [mask & ~binary_erosion(mask) for mask in (reference, predicted)]
    found = _distances(reference, predicted, spacing)
    assert np.allclose(found.from_reference, distance_transform_edt(~outlines[1], sampling=spacing)[outlines[0]])
    assert np.allclose(found.from_predicted, distance_transform_edt(~outlines[0], sampling=spacing)[outlines[1]])


def test_diagonal() -> None:
    assert diagonal_mm((30, 40), (1.0, 1.0)) == pytest.approx(50.0)
    assert diagonal_mm((2, 3, 6), (2.0, 2.0, 2.0)) == pytest.approx(14.0)


def test_bounding_box() -> None:
    mask = np.zeros((6, 7, 8), bool)
    assert bounding_box(mask) is None
    mask[2, 3, 4] = mask[4, 3, 7] = True
    assert bounding_box(mask) == (slice(2, 5), slice(3, 4), slice(4, 8))


def test_spacing_of_another_rank_is_refused() -> None:
    with pytest.raises(ValueError, match="spacings"):
        surface_distances(_disc(5), _disc(5), (1.0, 1.0, 1.0))


def test_large_pictures_are_fast() -> None:
    y, x = np.indices((540, 800))
    reference = ((y - 270) / 200) ** 2 + ((x - 400) / 300) ** 2 < 1
    predicted = ((y - 280) / 190) ** 2 + ((x - 410) / 300) ** 2 < 1
    times = []
    for _ in range(3):
        start = time.perf_counter()
        _distances(reference, predicted, (0.1, 0.1))
        times.append(time.perf_counter() - start)
    assert min(times) < 0.25  # 0.01 s on an idle core; other tests may run beside this one
