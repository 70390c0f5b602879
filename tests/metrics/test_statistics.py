"""Intervals whose ends can be told beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.metrics import statistics
from autoseg.metrics.statistics import bootstrap_interval, bootstrap_intervals, group_means, paired_differences


def test_equal_values_have_no_spread() -> None:
    assert bootstrap_interval([0.5] * 6, list("aabbcc")) == pytest.approx((0.5, 0.5))


def test_two_groups_give_the_ends_themselves() -> None:
    # a resample is (a, a), (a, b) or (b, b), with probabilities 1/4, 1/2, 1/4
    assert bootstrap_interval([0.0, 1.0], ["a", "b"]) == pytest.approx((0.0, 1.0))
    assert bootstrap_interval([0.0, 1.0], ["a", "b"], level=0.4) == pytest.approx((0.5, 0.5))


def test_one_group_tells_no_spread() -> None:
    assert bootstrap_interval([0.1, 0.9, 0.4], ["a"] * 3) is None
    assert bootstrap_interval([], []) is None


def test_width_follows_the_standard_error_of_subjects_not_of_cases() -> None:
    random = np.random.default_rng(5)
    subjects = random.normal(0, 1, 100)
    values, groups = np.repeat(subjects, 9), np.repeat(np.arange(100), 9)
    low, high = bootstrap_interval(values.tolist(), groups.tolist()) or (0.0, 0.0)
    assert high - low == pytest.approx(2 * 1.96 * subjects.std() / 10, rel=0.08)
    as_cases = bootstrap_interval(values.tolist(), list(range(900))) or (0.0, 0.0)
    assert as_cases[1] - as_cases[0] == pytest.approx((high - low) / 3, rel=0.08)


def test_groups_weigh_by_their_cases() -> None:
    # (a, b) has the mean (3 * 0 + 1) / 4
    assert bootstrap_interval([0.0, 0.0, 0.0, 1.0], list("aaab"), level=0.4) == pytest.approx((0.25, 0.25))


def test_seed_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values, groups = np.arange(20.0).tolist(), list(range(20))
    first = bootstrap_interval(values, groups, seed=1)
    assert first == bootstrap_interval(values, groups, seed=1) != bootstrap_interval(values, groups, seed=2)
    monkeypatch.setattr("autoseg.metrics.statistics.BLOCK_ENTRIES", 20 * 999)
    assert bootstrap_interval(values, groups, seed=1) == pytest.approx(first)


def test_columns_share_their_draws_and_find_what_they_find_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(7)
    groups = [number // 2 for number in range(20)]
    columns = [(random.random(20).tolist(), groups) for _ in range(5)]
    columns += [(random.random(12).tolist(), groups[:12]), ([0.5], ["alone"]), ([], [])]
    alone = [bootstrap_interval(*column, seed=3) for column in columns]
    drawn = []
    draws = statistics.resampled_weights
    monkeypatch.setattr(statistics, "resampled_weights", lambda count, *rest: drawn.append(count) or draws(count, *rest))
    together = bootstrap_intervals(columns, seed=3)
    assert drawn == [10, 6], "five columns of ten subjects, and one of six"
    assert together[-2:] == alone[-2:] == [None, None]
    for one, other in zip(together[:-2], alone[:-2], strict=True):
        assert one == pytest.approx(other, abs=1e-12)


def test_many_columns_come_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [([float(number), number + 1.0, 0.0], list("abc")) for number in range(7)]
    whole = bootstrap_intervals(columns)
    monkeypatch.setattr(statistics, "BLOCK_COLUMNS", 3)
    assert bootstrap_intervals(columns) == whole


def test_means_of_groups_come_in_the_order_of_the_groups() -> None:
    assert group_means([1.0, 5.0, 3.0, 0.0], list("baba")).tolist() == [2.0, 2.5]


def test_several_paired_differences() -> None:
    first, second = paired_differences([([0.0, 1.0], [1.0, 2.0], ["a", "b"]), ([1.0], [0.5], ["a"])])
    assert (first.mean, first.interval, first.groups) == (1.0, pytest.approx((1.0, 1.0)), 2)
    assert (second.mean, second.interval, second.cases) == (-0.5, None, 1)


def test_paired_difference_is_b_minus_a() -> None:
    (found,) = paired_differences([([0.5, 0.6, 0.7, 0.8], [0.6, 0.7, 0.8, 0.9], list("aabb"))])
    assert found.mean == pytest.approx(0.1)
    assert found.interval == pytest.approx((0.1, 0.1))
    assert (found.cases, found.groups) == (4, 2)


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="groups"):
        bootstrap_interval([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match="same cases"):
        paired_differences([([1.0], [1.0, 2.0], ["a"])])
    with pytest.raises(ValueError, match="same cases"):
        paired_differences([([], [], [])])
