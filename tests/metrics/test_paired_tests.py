"""Tests and effect sizes of differences few enough to be counted by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import rankdata

from autoseg.metrics.paired_tests import holm, rank_biserials, wilcoxon_p


def _by_all_signs(differences: np.ndarray) -> float:
    """The exact two-sided p-value: of all ways to give the differences signs, the part that is as far from the middle."""
    ranks = rankdata(np.abs(differences))
    middle, seen = ranks.sum() / 2, ranks[differences > 0].sum()
    sums = [np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=len(ranks))]
    return float(np.mean([abs(one - middle) >= abs(seen - middle) - 1e-9 for one in sums]))


def _by_ranks(differences: np.ndarray) -> float:
    changed = differences[differences != 0]
    ranks = rankdata(np.abs(changed))
    return float((ranks[changed > 0].sum() - ranks[changed < 0].sum()) / ranks.sum()) if len(changed) else 0.0


def test_wilcoxon_is_exact_for_few_subjects() -> None:
    assert wilcoxon_p([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) == pytest.approx(2 / 2**6)
    assert wilcoxon_p([0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx(2 / 2**5), "five subjects never come below 0.05"
    differences = np.array([0.31, -0.12, 0.05, 0.44, -0.27, 0.6, 0.08, 0.19])
    assert wilcoxon_p(differences) == pytest.approx(_by_all_signs(differences))


def test_differences_of_zero_are_dropped_and_nothing_else_is_no_evidence() -> None:
    few = [0.1, 0.2, -0.3, 0.4, 0.5, 0.6]
    assert wilcoxon_p([*few, 0.0, 0.0]) == pytest.approx(wilcoxon_p(few))
    assert wilcoxon_p([0.0, 0.0, 0.0]) == 1.0
    assert wilcoxon_p([0.1 + 0.2 - 0.3, 0.0]) == 1.0, "5e-17 is rounding"
    assert wilcoxon_p([0.4]) is None and wilcoxon_p([]) is None
    assert wilcoxon_p([0.4, 0.0]) == 1.0


def test_rounding_does_not_break_ties() -> None:
    assert wilcoxon_p([0.3, 0.1 + 0.2, -0.3, 0.9]) == pytest.approx(wilcoxon_p([0.3, 0.3, -0.3, 0.9]))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, None, 0.02]) == [pytest.approx(0.02), None, pytest.approx(0.02)]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == [] and holm([None]) == [None]


def test_effect_of_all_on_one_side_and_of_none() -> None:
    (up, interval), (down, _), (none, no_spread), (alone, unknown) = rank_biserials(
        [[0.1, 0.5, 0.2], [-0.1, -0.5, -0.2], [0.0, 0.0, 0.0], [0.4]]
    )
    assert (up, down, none, alone) == (1.0, -1.0, 0.0, 1.0)
    assert interval == pytest.approx((1.0, 1.0)) and no_spread == (0.0, 0.0) and unknown is None


def test_effect_by_hand_with_ties_and_zeros() -> None:
    # ranks of 1, 1, 2, 3 are 1.5, 1.5, 3, 4: (1.5 + 3 + 4 - 1.5) / 10
    ((value, _),) = rank_biserials([[1.0, -1.0, 2.0, 0.0, 3.0]])
    assert value == pytest.approx(0.7)


@pytest.mark.parametrize("ties", [False, True])
def test_interval_is_that_of_resampling_subjects_one_by_one(ties: bool) -> None:
    random = np.random.default_rng(0)
    differences = random.normal(0.3, 1.0, 40)
    differences = np.round(differences) if ties else differences
    ((value, interval),) = rank_biserials([differences], resamples=4000)
    assert value == pytest.approx(_by_ranks(differences))
    drawn = [_by_ranks(differences[random.integers(0, 40, 40)]) for _ in range(4000)]
    assert interval == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.04)


def test_columns_and_seeds() -> None:
    random = np.random.default_rng(1)
    columns = [random.normal(size=12), random.normal(size=9), random.normal(size=12)]
    together = rank_biserials(columns, seed=5)
    assert together == [rank_biserials([one], seed=5)[0] for one in columns]
    assert together != rank_biserials(columns, seed=6)
