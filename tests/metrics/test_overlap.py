"""Overlap figures, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.metrics.overlap import (
    Counts,
    accuracy,
    confusion,
    count,
    dice,
    iou,
    pixel_size,
    precision,
    recall,
    relative_size_error,
    structure_counts,
)


def test_figures_of_known_counts() -> None:
    counts = Counts(tp=6, fp=2, fn=4, tn=88)
    assert dice(counts) == pytest.approx(12 / 18)
    assert iou(counts) == pytest.approx(6 / 12)
    assert accuracy(counts) == pytest.approx(0.94)
    assert precision(counts) == pytest.approx(0.75)
    assert recall(counts) == pytest.approx(0.6)


def test_size_error_is_signed_and_a_part_of_the_reference() -> None:
    assert relative_size_error(Counts(tp=6, fp=2, fn=4, tn=88)) == pytest.approx(-0.2)
    assert relative_size_error(Counts(tp=0, fp=30, fn=10, tn=0)) == pytest.approx(2.0), "wherever it lies"


def test_pixels_are_square_millimetres_and_voxels_millilitres() -> None:
    assert pixel_size((0.5, 0.2)) == pytest.approx(0.1)
    assert pixel_size((5.0, 0.5, 2.0)) == pytest.approx(0.005)


def test_counting_two_shifted_squares() -> None:
    reference, predicted = np.zeros((10, 10), bool), np.zeros((10, 10), bool)
    reference[2:6, 2:6] = True
    predicted[3:7, 2:6] = True
    assert count(reference, predicted) == Counts(tp=12, fp=4, fn=4, tn=80)
    valid = np.ones((10, 10), bool)
    valid[6] = False  # the predicted row too many
    assert count(reference, predicted, valid) == Counts(tp=12, fp=0, fn=4, tn=74)


def test_absent_structure_has_no_overlap_but_an_accuracy() -> None:
    false_alarm = Counts(tp=0, fp=5, fn=0, tn=95)
    assert [figure(false_alarm) for figure in (dice, iou, precision, recall)] == [None] * 4
    assert accuracy(false_alarm) == pytest.approx(0.95)
    assert accuracy(Counts(0, 0, 0, 0)) == 1.0


def test_missed_structure_scores_zero_and_has_no_precision() -> None:
    missed = Counts(tp=0, fp=0, fn=5, tn=95)
    assert (dice(missed), iou(missed), recall(missed), precision(missed)) == (0.0, 0.0, 0.0, None)


def test_confusion_and_structures_made_of_several_values() -> None:
    reference = np.array([[0, 1, 1], [2, 2, 0]], np.int16)
    predicted = np.array([[0, 1, 2], [2, 0, 5]], np.uint8)
    table = confusion(reference, predicted)
    assert table.shape == (3, 6)
    assert table[1].tolist() == [0, 1, 1, 0, 0, 0]
    assert table[2].tolist() == [1, 0, 1, 0, 0, 0]
    assert structure_counts(table, {1, 2}, {1, 2}) == Counts(tp=3, fp=0, fn=1, tn=2)
    assert structure_counts(table, {2}, {5}) == Counts(tp=0, fp=1, fn=2, tn=3)
    assert structure_counts(table, {7}, {9}) == Counts(tp=0, fp=0, fn=0, tn=6)


def test_confusion_of_many_blocks_equals_that_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    reference, predicted = random.integers(0, 4, (7, 9, 5)), random.integers(0, 3, (7, 9, 5))
    whole = confusion(reference, predicted)
    monkeypatch.setattr("autoseg.metrics.overlap.BLOCK_PIXELS", 10)
    assert np.array_equal(confusion(reference, predicted), whole)
    assert whole.sum() == 315 and whole[2, 1] == np.count_nonzero((reference == 2) & (predicted == 1))


def test_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        confusion(np.zeros((2, 3), int), np.zeros((3, 2), int))
