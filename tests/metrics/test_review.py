"""Thresholds of suspicion: by hand, and on simulated cases of which a known share is good."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.metrics.review import cross_review, fit_review, review_rates, suspicious
from autoseg.records import ReviewRule


def test_one_score_by_hand() -> None:
    # 29 good cases: 0.1 * 30 = 3, so the threshold is the third largest of them, 26
    scores = [float(case) for case in range(29)]
    fit = fit_review({"doubt": [*scores, 1000.0]}, [True] * 29 + [False])
    assert fit.rule == ReviewRule(thresholds={"doubt": 26.0}, rate=0.1, good_cases=29)
    assert suspicious(fit.rule, {"doubt": 26.0}) == () and suspicious(fit.rule, {"doubt": 26.5}) == ("doubt",)
    assert suspicious(fit.rule, {"doubt": None}) == suspicious(fit.rule, {}) == ()


def test_the_fewest_good_cases() -> None:
    assert fit_review({"doubt": list(range(9))}, [True] * 9).rule is not None
    few = fit_review({"doubt": list(range(8))}, [True] * 8)
    assert few.rule is None and few.reason is not None and "8 good cases" in few.reason and "9 are enough" in few.reason
    none = fit_review({"doubt": [1.0, 2.0]}, [False, False])
    assert none.rule is None and none.reason is not None and "0 good cases" in none.reason
    scores = {"a": list(range(28)), "b": list(range(28))[::-1]}
    two = fit_review(scores, [True] * 28)
    assert two.rule is None and two.reason is not None and "2 scores" in two.reason and "29 are enough" in two.reason
    assert fit_review({name: [*values, 14] for name, values in scores.items()}, [True] * 29).rule is not None


def test_two_scores_share_the_rate() -> None:
    # 0.1 * 70 = 7 may be flagged, the new case among them: scores in opposite orders flag 2 k cases, so k = 3
    up = [float(case) for case in range(69)]
    opposite = fit_review({"up": up, "down": up[::-1]}, [True] * 69).rule
    assert opposite is not None and opposite.thresholds == {"up": 66.0, "down": 66.0}
    # in the same order they flag the same k cases, so k = 6
    same = fit_review({"up": up, "again": [10 * value for value in up]}, [True] * 69).rule
    assert same is not None and same.thresholds == {"up": 63.0, "again": 630.0}


def test_ties_and_missing_scores_flag_fewer_not_more() -> None:
    rule = fit_review({"doubt": [0.0] * 20 + [1.0] * 9}, [True] * 29).rule
    assert rule is not None and suspicious(rule, {"doubt": 1.0}) == ()
    sparse = fit_review({"doubt": [None] * 28 + [5.0]}, [True] * 29).rule
    assert sparse is not None and sparse.thresholds == {}
    with pytest.raises(ValueError, match="2 cases"):
        fit_review({"doubt": [1.0]}, [True, True])


@pytest.mark.parametrize("correlation", [None, 0.0, 0.9])
def test_new_good_cases_are_flagged_at_no_more_than_the_rate(correlation: float | None) -> None:
    """Over 2000 draws of 40 calibration cases and a new one; None: a single score."""
    random = np.random.default_rng(0)
    flags = 0
    for _ in range(2000):
        doubt = random.normal(size=(2, 41))
        scores = {"a": doubt[0]}
        if correlation is not None:
            scores["b"] = correlation * doubt[0] + np.sqrt(1 - correlation**2) * doubt[1]
        rule = fit_review({name: values[:40].tolist() for name, values in scores.items()}, [True] * 40).rule
        assert rule is not None
        flags += bool(suspicious(rule, {name: float(values[40]) for name, values in scores.items()}))
    # one score: 4 of 41; two: at most that, and not far below
    assert flags / 2000 <= 0.1 + 0.013
    assert flags / 2000 == pytest.approx(4 / 41, abs=0.02) if correlation is None else flags / 2000 > 0.03


def test_bad_cases_are_found_by_the_score_that_shows_them() -> None:
    random = np.random.default_rng(1)
    good = [True] * 90 + [False] * 10
    a, b = random.normal(size=100), random.normal(size=100)
    a[90:95] += 8
    b[95:] += 8
    flagged = cross_review({"a": a.tolist(), "b": b.tolist()}, good, [case % 5 for case in range(100)])
    rates = review_rates(flagged, good)
    assert rates.bad_found is not None and rates.bad_found.share == 1 and rates.bad_found.low == pytest.approx(0.6915, abs=1e-4)
    assert rates.good_flagged is not None and rates.good_flagged.share <= 0.12 and rates.good_flagged.total == 90


def test_folds_without_enough_others_have_no_verdict() -> None:
    folds = [0] * 12 + [1] * 5
    flagged = cross_review({"doubt": [float(case) for case in range(17)]}, [True] * 17, folds)
    assert flagged == (None,) * 12 + (True,) * 5
    rates = review_rates(flagged, [True] * 17)
    assert rates.good_flagged is not None and (rates.good_flagged.count, rates.good_flagged.total) == (5, 5)
    assert rates.bad_found is None
