"""Agreement worked by hand, and the published example of Shrout and Fleiss."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autoseg.metrics.agreement import bland_altman, icc_2_1, mean_absolute_error

SHROUT_AND_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)  # their table 2


def test_bland_altman_by_hand() -> None:
    found = bland_altman([1.0, -1.0, 2.0, 0.0, 3.0])  # mean 1, squares 0 4 1 1 4: variance 10 / 4
    deviation = math.sqrt(2.5)
    assert (found.cases, found.bias) == (5, 1.0)
    assert found.deviation == pytest.approx(deviation)
    assert (found.lower, found.upper) == pytest.approx((1 - 1.96 * deviation, 1 + 1.96 * deviation))
    t = 2.776445  # of Student, 4 degrees of freedom, 97.5 %
    assert found.bias_interval == pytest.approx((1 - t * deviation / math.sqrt(5), 1 + t * deviation / math.sqrt(5)), rel=1e-5)
    half = t * deviation * math.sqrt(1 / 5 + 1.96**2 / 8)
    assert found.upper_interval == pytest.approx((1 + 1.96 * deviation - half, 1 + 1.96 * deviation + half), rel=1e-5)
    assert found.lower_interval == pytest.approx((1 - 1.96 * deviation - half, 1 - 1.96 * deviation + half), rel=1e-5)


def test_two_cases_have_a_bias_and_no_limits() -> None:
    found = bland_altman([1.0, 2.0])
    assert found.bias == 1.5 and found.lower is None and found.bias_interval is None
    with pytest.raises(ValueError):
        bland_altman([])


def test_limits_hold_what_they_promise() -> None:
    """95 % of the intervals of the upper limit hold the true one."""
    random = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        interval = bland_altman(random.normal(2.0, 3.0, 30)).upper_interval
        assert interval is not None
        held += interval[0] <= 2 + 1.96 * 3 <= interval[1]
    assert 0.92 <= held / 400 <= 0.98


def test_mean_absolute_error() -> None:
    error, interval = mean_absolute_error([1.0, -3.0, 2.0], ["a", "b", "b"])
    assert error == 2.0
    assert interval is not None and 1.0 <= interval[0] <= 2.0 <= interval[1] <= 2.5
    assert mean_absolute_error([1.0, -3.0], ["a", "a"]) == (2.0, None)


def test_icc_of_shrout_and_fleiss() -> None:
    assert icc_2_1(SHROUT_AND_FLEISS) == pytest.approx(0.29, abs=0.005)


def test_icc_at_its_ends() -> None:
    assert icc_2_1(np.array([[1.0, 1.0], [5.0, 5.0], [9.0, 9.0]])) == pytest.approx(1.0)
    assert icc_2_1(np.array([[1.0, 5.0], [1.0, 5.0], [1.0, 5.0]])) == pytest.approx(0.0)
    assert icc_2_1(np.array([[1.0, 2.0]])) is None
    assert icc_2_1(np.ones((3, 2))) is None
    # two raters 4 apart on cases 8 apart: between 64, judges 24 (3 x 8), error 0: 64 / (64 + 2 x 24 / 3)
    assert icc_2_1(np.array([[0.0, 4.0], [8.0, 12.0], [16.0, 20.0]])) == pytest.approx(128 / (128 + 16))
