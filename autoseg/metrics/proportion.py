"""Shares of cases with exact intervals, and rank correlation: how well a rule did, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from scipy.stats import beta, norm, rankdata

from autoseg.records import Proportion, RankCorrelation

LEVEL = 0.95
DIGITS = 9
FEWEST_RANKED = 4  # the interval of a rank correlation needs more than three cases


def proportion(count: float, total: float, *, level: float = LEVEL) -> Proportion | None:
    """A share with the exact binomial interval (Clopper and Pearson, Biometrika 26, 1934); None where `total` is 0.

    The bounds are quantiles of beta distributions, which are defined for fractions of a count, too: these come from subjects of whose
    cases a part alone counts.

    Raises:
        ValueError: `count` is not within 0 and `total`.
    """
    if not 0 <= count <= total:
        raise ValueError(f"{count:g} of {total:g} is no share")
    if total == 0:
        return None
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else float(beta.ppf(tail, count, total - count + 1))
    high = 1.0 if count == total else float(beta.ppf(1 - tail, count + 1, total - count))
    return Proportion(count=count, total=total, share=count / total, low=low, high=high)


def grouped_proportion(flags: Sequence[bool], groups: Sequence[Hashable], *, level: float = LEVEL) -> Proportion | None:
    """The mean over groups (subjects) of the share of flagged cases in each; cases of a group weigh together as one."""
    total = len(set(groups))
    count = round(float(np.dot(group_weights(groups), np.asarray(flags, float))), DIGITS)  # a sum of thirds may be a trifle off
    return proportion(count, total, level=level)


def group_weights(groups: Sequence[Hashable]) -> np.ndarray:
    """1 / (cases of the group), for every case."""
    sizes: dict[Hashable, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    return np.array([1 / sizes[group] for group in groups])


def rank_correlation(a: Sequence[float], b: Sequence[float], *, level: float = LEVEL) -> RankCorrelation | None:
    """Spearman's correlation, ties at their mean rank; None with fewer than four cases, or where all of one side are the same.

    The interval is Fisher's with the variance 1.06 / (n - 3) (Fieller, Hartley and Pearson, Biometrika 44, 1957); it takes cases for
    independent.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values cannot be ranked against {len(b)}")
    first, second = rankdata(a), rankdata(b)
    if len(a) < FEWEST_RANKED or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    value = float(np.clip(np.corrcoef(first, second)[0, 1], -1, 1))
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(1.06 / (len(a) - 3))
    middle = math.atanh(float(np.clip(value, -1 + 1e-12, 1 - 1e-12)))
    return RankCorrelation(value=value, low=math.tanh(middle - half), high=math.tanh(middle + half), cases=len(a))
