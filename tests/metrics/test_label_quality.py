"""Disagreement of a label with a network, worked by hand."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest

from autoseg.metrics.label_quality import (
    Exchange,
    Softmin,
    best_exchange,
    common_box,
    disagreement,
    equivalent_diameter,
    expected_dice,
)


def square(top: int, left: int, side: int = 4, size: int = 12) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_two_squares_that_are_a_pixel_apart() -> None:
    label, model = square(2, 2), square(3, 2)
    probability = np.where(model, 0.95, 0.0)
    found = disagreement(label, model, probability)
    assert (found.label_pixels, found.model_pixels) == (16, 16)
    assert found.dice == pytest.approx(24 / 32)
    assert found.expected_dice == pytest.approx(2 * 15.2 / (15.2 + 16))
    assert found.excess == pytest.approx(log(0.26 / (0.01 + 1 - 2 * 15.2 / 31.2)))
    assert found.confident == pytest.approx(8 / 20), "four pixels are denied and four claimed, of twenty"
    # Of the outline's twelve pixels on either side, the outer row of four is 1 away. The inner rows' four pixels have the
    # other's side columns or row within 1, and at the two columns the outlines meet.
    assert 0 < (found.distance or 0) < 1 / equivalent_diameter(16, 2)


def test_network_that_is_unsure_accuses_nobody() -> None:
    label, model = square(2, 2), square(3, 2)
    sure = disagreement(label, model, np.where(model, 1.0, 0.0))
    unsure = disagreement(label, model, np.where(model | label, 0.55, 0.0))
    assert unsure.dice == sure.dice and unsure.confident == 0
    assert unsure.excess < 0 < 3 < sure.excess


def test_equal_masks_have_no_distance_between_them() -> None:
    found = disagreement(square(2, 2), square(2, 2), np.where(square(2, 2), 1.0, 0.0), (0.5, 2.0))
    assert (found.dice, found.expected_dice, found.confident, found.distance) == (1.0, 1.0, 0.0, 0.0)


def test_distance_is_by_the_diameter_and_minds_the_spacing() -> None:
    label, model = square(2, 2, 3), square(2, 8, 3)
    probability = model.astype(float)
    isotropic = disagreement(label, model, probability).distance
    doubled = disagreement(label, model, probability, (2.0, 2.0)).distance
    stretched = disagreement(label, model, probability, (1.0, 4.0)).distance
    assert isotropic is not None and doubled is not None and stretched is not None
    # columns 2, 3, 4 are 6, 5, 4 away from the nearest of 8, 9, 10; of the eight surface pixels three, two and three
    assert isotropic == pytest.approx((3 * 6 + 2 * 5 + 3 * 4) / 8 / equivalent_diameter(9, 2))
    assert doubled == pytest.approx(isotropic)
    assert stretched == pytest.approx(4 * 5 / equivalent_diameter(36, 2))


@pytest.mark.parametrize(("label", "model", "dice"), [(True, False, 0.0), (False, True, 0.0), (False, False, 1.0)])
def test_structure_on_one_side_only(label: bool, model: bool, dice: float) -> None:
    nothing = np.zeros((12, 12), bool)
    probability = np.where(square(2, 2), 0.96 if model else 0.04, 0.0)
    found = disagreement(square(2, 2) if label else nothing, square(2, 2) if model else nothing, probability)
    assert found.dice == dice and found.distance is None
    assert found.present == (label or model)
    assert found.expected_dice == pytest.approx(2 * 0.96 / 1.96 if model else 0.96)
    assert found.confident == (1.0 if label or model else 0.0)


def test_expected_dice_falls_with_probability_outside_the_mask() -> None:
    model = square(2, 2)
    outside = np.where(model, 1.0, 0.0)
    outside[0, :8] = 0.5  # four pixels' worth
    assert expected_dice(model, outside) == pytest.approx(2 * 16 / (20 + 16))


def test_softmin_follows_its_formula() -> None:
    softmin = Softmin()
    softmin.add(np.array([1.0]))
    softmin.add(np.array([0.2], np.float16))
    low, high = exp(-float(np.float16(0.2)) / 0.1), exp(-1 / 0.1)
    assert softmin.value == pytest.approx((float(np.float16(0.2)) * low + high) / (low + high))
    even = Softmin()
    even.add(np.full(7, 0.7))
    assert even.value == pytest.approx(0.7)
    assert Softmin().value == 1.0


def test_best_exchange_is_the_one_that_raises_most() -> None:
    overlaps = np.array([[0, 8, 0], [6, 0, 0], [0, 0, 5]])
    assert best_exchange(overlaps, [10, 6, 5], [6, 8, 5]) == Exchange(0, 1, 0.0, (16 / 18 + 12 / 12) / 2)
    assert best_exchange(np.diag([4, 4]), [4, 4], [4, 4]) is None
    assert best_exchange(np.array([[0, 4], [0, 0]]), [4, 0], [0, 4]) is None, "a structure that is not there is not exchanged"


def test_box_around_both_masks_stays_in_the_image() -> None:
    assert common_box(square(0, 2), square(3, 8)) == (slice(0, 8), slice(1, 12))
    assert common_box(np.zeros((3, 3), bool), np.zeros((3, 3), bool)) is None


def test_equivalent_diameters() -> None:
    assert equivalent_diameter(np.pi * 25, 2) == pytest.approx(10)
    assert equivalent_diameter(4 / 3 * np.pi * 27, 3) == pytest.approx(6)
