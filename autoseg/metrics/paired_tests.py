"""Whether two methods differ on the same subjects: a test, its correction for many of them, and how large the difference is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wilcoxon

from autoseg.metrics.statistics import Interval, percentile_ends, resampled_weights

RESAMPLES = 2_000  # fewer than of means, as every one is ranked; the ends are reproducible to some 3 % of the interval's width
DECIMALS = 10  # differences that are nearer to one another come from rounding; figures are parts of 1, mm, mm2 or ml


def wilcoxon_p(differences: Sequence[float] | np.ndarray) -> float | None:
    """Two-sided p-value of Wilcoxon's signed-rank test that differences lie symmetrically around 0.

    Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945. Differences of 0 are dropped, as he did; SciPy
    computes exactly for few differences, and by the normal approximation for many.

    Args:
        differences: one per subject; cases of one subject are not independent.

    Returns:
        None with fewer than two differences; 1 where all are 0, as nothing then speaks for one side.
    """
    rounded = _rounded(differences)
    if len(rounded) < 2:
        return None
    changed = rounded[rounded != 0]
    return float(wilcoxon(changed).pvalue) if len(changed) else 1.0


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values corrected for being many: below 0.05, with all others below, at most one in twenty such families errs at all.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979. Those that are None were
    not tested, and do not count.
    """
    tested = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * p))
        corrected[index] = largest
    return corrected


def rank_biserials(
    columns: Sequence[Sequence[float] | np.ndarray], *, resamples: int = RESAMPLES, seed: int = 0
) -> list[tuple[float, Interval | None]]:
    """Matched-pairs rank-biserial correlation of the differences in each column, and its 95 % interval.

    The effect size that belongs to Wilcoxon's test: (sum of the ranks of positive differences - that of negative ones) / sum of all
    ranks, from -1 (all negative) to 1; 0 where all differences are 0. Kerby, "The simple difference formula: an approach to teaching
    nonparametric correlation", Comprehensive Psychology 3, 2014. The interval is a percentile bootstrap over subjects, None with fewer
    than two; columns of as many subjects share what is drawn, as in `statistics.bootstrap_intervals`.

    Args:
        columns: of one difference per subject, at least one.
        resamples: how many.
        seed: same seed, same interval.
    """
    ranked = [_Ranked.of(_rounded(differences)) for differences in columns]
    values = [float(one.correlation(np.ones((1, one.subjects)))[0]) for one in ranked]
    intervals: list[Interval | None] = [None] * len(ranked)
    for subjects in {one.subjects for one in ranked if one.subjects > 1}:
        members = [index for index, one in enumerate(ranked) if one.subjects == subjects]
        blocks = [
            np.stack([ranked[index].correlation(weights) for index in members], axis=1)
            for weights in resampled_weights(subjects, resamples, seed)
        ]
        for index, ends in zip(members, percentile_ends(np.concatenate(blocks)), strict=True):
            intervals[index] = ends
    return list(zip(values, intervals, strict=True))


@dataclass(frozen=True, eq=False)
class _Ranked:
    """Differences in the order of their size, so that ranks within a resample need no sorting of it."""

    subjects: int
    order: np.ndarray  # subjects whose difference is not 0, the smallest first
    signs: np.ndarray  # of their differences
    first: np.ndarray  # where each group of equally large differences begins

    @classmethod
    def of(cls, differences: np.ndarray) -> _Ranked:
        changed = np.flatnonzero(differences)
        order = changed[np.argsort(np.abs(differences[changed]), kind="stable")]
        _, first = np.unique(np.abs(differences[order]), return_index=True)
        return cls(len(differences), order, np.sign(differences[order]), first)

    def correlation(self, weights: np.ndarray) -> np.ndarray:
        """One for each resample `(n, subjects)`, which draws each subject so many times."""
        if not len(self.order):
            return np.zeros(len(weights))
        size = weights[:, self.order]
        if len(self.first) < len(self.order):
            signed = np.add.reduceat(size * self.signs, self.first, axis=1)
            size = np.add.reduceat(size, self.first, axis=1)
        else:
            signed = size * self.signs
        rank = np.cumsum(size, axis=1) - size / 2 + 0.5  # the middle rank of each group
        drawn = size.sum(axis=1)
        ranks = drawn * (drawn + 1) / 2
        return np.divide(np.einsum("ij,ij->i", rank, signed), ranks, out=np.zeros(len(weights)), where=ranks > 0)


def _rounded(differences: Sequence[float] | np.ndarray) -> np.ndarray:
    """Without the noise of floating point, which would break ties and make something of 0."""
    return np.round(np.asarray(differences, dtype=float), DECIMALS)
