"""Intervals by hand, and how often they hold on simulated measurements."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.metrics.conformal import coverage, cross_intervals, fewest_subjects, fit_interval, interval_of
from autoseg.records import MeasurementInterval


def test_quantiles_by_hand() -> None:
    # 79 residuals 0.00 to 0.78: (79 + 1) * 0.025 = 2, so the second smallest and the second largest
    true = [100 + case for case in range(79)]
    fit = fit_interval([100.0] * 79, true, range(79))
    assert fit.model is not None
    assert (fit.model.low, fit.model.high) == pytest.approx((0.01, 0.77))
    assert interval_of(fit.model, 200) == pytest.approx((202, 354))
    assert (fit.model.cases, fit.model.subjects, fit.model.smoothing) == (79, 79, None)


def test_thirty_nine_are_just_enough_and_give_the_extremes() -> None:
    assert fewest_subjects() == 39 and fewest_subjects(0.9) == 19 and fewest_subjects(0.8) == 9
    true = [100 + case for case in range(39)]
    model = fit_interval([100.0] * 39, true, range(39)).model
    assert model is not None and (model.low, model.high) == pytest.approx((0, 0.38))
    few = fit_interval([100.0] * 38, true[:38], range(38))
    assert few.model is None and few.reason is not None and "at least 39" in few.reason and "there are 38" in few.reason
    # 80 images of 38 subjects are not enough either
    assert fit_interval([100.0] * 80, [101.0] * 80, [case % 38 for case in range(80)]).model is None


def test_a_bias_is_taken_out_and_sides_differ() -> None:
    random = np.random.default_rng(0)
    measured = random.uniform(150, 300, 400)
    true = measured * (1.02 + random.exponential(0.01, 400))
    model = fit_interval(measured.tolist(), true.tolist(), range(400)).model
    assert model is not None
    assert 0.02 < model.low < 0.021 and model.high == pytest.approx(0.02 + 0.01 * 3.7, abs=0.01)


def test_images_of_a_subject_weigh_together_as_one() -> None:
    """A subject of 100 images that are far off does not widen the interval: it is one of 80."""
    true = [100.0 + case for case in range(79)] + [500.0] * 100
    subjects = [*range(79), *["far"] * 100]
    model = fit_interval([100.0] * 179, true, subjects).model
    assert model is not None and (model.low, model.high) == pytest.approx((0.02 - 0.01, 0.78))
    alone = fit_interval([100.0] * 179, true, range(179)).model
    assert alone is not None and alone.high == pytest.approx(4)


def test_hard_cases_get_wider_intervals() -> None:
    random = np.random.default_rng(1)
    difficulty = random.uniform(0.01, 0.2, 500)
    measured = np.full(500, 200.0)
    true = measured * (1 + 0.3 * difficulty * random.normal(size=500))
    model = fit_interval(measured.tolist(), true.tolist(), range(500), difficulty=difficulty.tolist()).model
    assert model is not None and model.smoothing == pytest.approx(float(np.median(difficulty)))
    easy, hard = interval_of(model, 200, 0.01), interval_of(model, 200, 0.2)
    assert easy is not None and hard is not None
    assert (hard[1] - hard[0]) / (easy[1] - easy[0]) == pytest.approx((0.2 + model.smoothing) / (0.01 + model.smoothing))
    assert interval_of(model, 200) is None
    flat = fit_interval(measured.tolist(), true.tolist(), range(500), difficulty=[0.0] * 500).model
    assert flat is not None and flat.smoothing == 1


def test_new_cases_are_covered_at_the_level() -> None:
    """Over 1500 draws of 60 heavy-tailed calibration cases and a new one."""
    random = np.random.default_rng(2)
    inside = 0
    for _ in range(1500):
        measured = random.uniform(100, 300, 61)
        true = measured * (1.01 + 0.02 * random.standard_t(3, 61))
        model = fit_interval(measured[:60].tolist(), true[:60].tolist(), range(60)).model
        assert model is not None
        low, high = interval_of(model, measured[60]) or (0, 0)
        inside += low <= true[60] <= high
    # 58 of 60 spacings of 61 lie between the extremes: (61 - 2) / 61 = 0.967
    assert inside / 1500 == pytest.approx(59 / 61, abs=0.014)


def test_groups_are_covered_nearly_at_the_level() -> None:
    random = np.random.default_rng(3)
    inside = 0
    for _ in range(600):
        sizes = random.integers(1, 4, 61)
        subjects = np.repeat(np.arange(61), sizes)
        true = 100 * (1 + 0.02 * random.normal(size=61)[subjects] + 0.01 * random.normal(size=len(subjects)))
        known = subjects < 60
        model = fit_interval([100.0] * int(known.sum()), true[known].tolist(), subjects[known].tolist()).model
        assert model is not None
        low, high = interval_of(model, 100.0) or (0, 0)
        inside += low <= true[-1] <= high
    assert 0.94 < inside / 600 < 0.992


def test_cross_intervals_do_not_see_their_own_fold() -> None:
    random = np.random.default_rng(4)
    measured, noise = random.uniform(100, 300, 100), 0.02 * random.normal(size=100)
    true = measured * (1 + noise)
    folds = [case % 5 for case in range(100)]
    found = cross_intervals(measured.tolist(), true.tolist(), range(100), folds)
    share = coverage(found, true.tolist(), range(100))
    assert share is not None and share.total == 100 and share.low < 0.95 < share.high
    moved = cross_intervals(
        measured.tolist(), [value * (2 if fold == 0 else 1) for value, fold in zip(true, folds, strict=True)], range(100), folds
    )
    assert [before == after for before, after in zip(found, moved, strict=True)] == [fold == 0 for fold in folds]


def test_coverage_leaves_out_what_has_no_interval_and_counts_subjects() -> None:
    intervals = [(1.0, 2.0), None, (1.0, 2.0), (1.0, 2.0)]
    found = coverage(intervals, [2.0, 1.0, 3.0, 1.5], ["a", "a", "b", "b"])
    assert found is not None and (found.count, found.total) == (1.5, 2)
    assert coverage([None], [1.0], ["a"]) is None
    assert cross_intervals([1.0] * 4, [1.0] * 4, range(4), [0, 0, 1, 1]) == (None,) * 4


def test_mistakes_are_refused_and_the_model_is_plain_numbers() -> None:
    with pytest.raises(ValueError, match="above 0"):
        fit_interval([0.0], [1.0], ["a"])
    with pytest.raises(ValueError, match="same cases"):
        fit_interval([1.0], [1.0, 2.0], ["a"])
    model = fit_interval([100.0] * 39, [101.0] * 39, range(39)).model
    assert model is not None and MeasurementInterval.model_validate_json(model.model_dump_json()) == model
