"""Exact intervals from tables, and rank correlation by hand."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest, spearmanr

from autoseg.metrics.proportion import group_weights, grouped_proportion, proportion, rank_correlation


def test_clopper_pearson_against_its_closed_form_and_scipy() -> None:
    none = proportion(0, 10)
    assert none is not None and none.low == 0
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 10))
    every = proportion(10, 10)
    assert every is not None and (every.low, every.high) == (pytest.approx(0.025 ** (1 / 10)), 1)
    some, expected = proportion(7, 68), binomtest(7, 68).proportion_ci(method="exact")
    assert some is not None
    assert (some.share, some.low, some.high) == pytest.approx((7 / 68, expected.low, expected.high))


def test_no_case_has_no_share_and_more_than_all_is_a_mistake() -> None:
    assert proportion(0, 0) is None
    with pytest.raises(ValueError, match="no share"):
        proportion(3, 2)


def test_cases_of_a_group_weigh_together_as_one() -> None:
    assert group_weights(["a", "b", "b", "a", "c", "a"]).tolist() == pytest.approx([1 / 3, 1 / 2, 1 / 2, 1 / 3, 1, 1 / 3])
    found = grouped_proportion([True, False, True, True], ["a", "b", "b", "c"])
    assert found is not None and (found.count, found.total) == (2.5, 3)
    assert grouped_proportion([True, False], ["a", "b"]) == proportion(1, 2)
    assert grouped_proportion([], []) is None


def test_rank_correlation_by_hand_and_with_ties() -> None:
    # differences of ranks (0, 1, 1, 0): 1 - 6 * 2 / (4 * 15)
    found = rank_correlation([1, 2, 3, 4], [10, 30, 20, 40])
    assert found is not None and found.value == pytest.approx(0.8)
    a, b = [1, 1, 2, 5, 4, 4], [3, 1, 2, 2, 6, 5]
    tied = rank_correlation(a, b)
    assert tied is not None and tied.value == pytest.approx(spearmanr(a, b).statistic)
    assert tied.low < tied.value < tied.high and tied.cases == 6


def test_what_cannot_be_ranked() -> None:
    assert rank_correlation([1, 2, 3], [1, 2, 3]) is None
    assert rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]) is None
    perfect = rank_correlation(range(9), range(9))
    assert perfect is not None and perfect.value == pytest.approx(1) and perfect.high <= 1
    with pytest.raises(ValueError, match="ranked"):
        rank_correlation([1], [1, 2])


@pytest.mark.parametrize("frames", [3, 5, 6, 7])
def test_shares_that_add_up_to_a_trifle_more_than_all(frames: int) -> None:
    """Sums of thirds, fifths ... of fifty subjects, all of them flagged."""
    groups = [f"s{number}" for number in range(50) for _ in range(1 + number % frames)]
    found = grouped_proportion([True] * len(groups), groups)
    assert found is not None and (found.share, found.high, found.total) == (1.0, 1.0, 50)
