"""How well two ways of measuring agree: Bland and Altman's limits, the mean absolute error, and the intraclass correlation.

Differences are measured minus true. Bland and Altman take cases as independent; where one person has several, their intervals are a
little too narrow. That of the mean absolute error is by bootstrap over persons.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from autoseg.metrics.statistics import LEVEL, bootstrap_interval

LIMITS = 1.96  # standard deviations, between which 95 % of normally distributed differences lie
Interval = tuple[float, float]


@dataclass(frozen=True)
class BlandAltman:
    """Mean difference and the limits between which most differences lie, each with its interval; None with fewer than three cases."""

    cases: int
    bias: float
    deviation: float | None
    bias_interval: Interval | None
    lower: float | None
    upper: float | None
    lower_interval: Interval | None
    upper_interval: Interval | None


def bland_altman(differences: Sequence[float], *, level: float = LEVEL) -> BlandAltman:
    """Bland and Altman, Lancet 1986;327:307-310; intervals as in Stat Methods Med Res 1999;8:135-160.

    The standard error of the bias is s / sqrt(n), that of a limit s sqrt(1 / n + 1.96^2 / (2 (n - 1))).

    Raises:
        ValueError: no differences.
    """
    if not len(differences):
        raise ValueError("agreement needs at least one difference")
    values = np.asarray(differences, dtype=float)
    count, bias = len(values), float(values.mean())
    if count < 3:
        return BlandAltman(count, bias, None, None, None, None, None, None)
    deviation = float(values.std(ddof=1))
    factor = float(student.ppf((1 + level) / 2, count - 1))
    of_bias = factor * deviation / math.sqrt(count)
    of_limit = factor * deviation * math.sqrt(1 / count + LIMITS**2 / (2 * (count - 1)))
    lower, upper = bias - LIMITS * deviation, bias + LIMITS * deviation
    return BlandAltman(
        count,
        bias,
        deviation,
        (bias - of_bias, bias + of_bias),
        lower,
        upper,
        (lower - of_limit, lower + of_limit),
        (upper - of_limit, upper + of_limit),
    )


def mean_absolute_error(
    differences: Sequence[float], persons: Sequence[Hashable], *, seed: int = 0
) -> tuple[float, Interval | None]:
    """With a 95 % bootstrap interval over persons, which is None where there are fewer than two.

    Raises:
        ValueError: no differences.
    """
    if not len(differences):
        raise ValueError("an error needs at least one difference")
    errors = [abs(difference) for difference in differences]
    return float(np.mean(errors)), bootstrap_interval(errors, persons, seed=seed)


def icc_2_1(ratings: np.ndarray) -> float | None:
    """ICC(2,1): how much of the variance is that between the cases, if case and rater are both drawn at random.

    Shrout and Fleiss, Psychological Bulletin 1979;86:420-428: two-way random effects, absolute agreement, single rater.

    Args:
        ratings: `(cases, raters)`, without gaps.

    Returns:
        At most 1; below 0 where cases vary less than raters do. None with fewer than two cases or raters, or where nothing varies.
    """
    ratings = np.asarray(ratings, dtype=float)
    cases, raters = ratings.shape
    if cases < 2 or raters < 2:
        return None
    mean = ratings.mean()
    of_cases, of_raters = ratings.mean(axis=1) - mean, ratings.mean(axis=0) - mean
    rest = ratings - mean - of_cases[:, None] - of_raters[None, :]
    between = raters * float((of_cases**2).sum()) / (cases - 1)
    judges = cases * float((of_raters**2).sum()) / (raters - 1)
    error = float((rest**2).sum()) / ((cases - 1) * (raters - 1))
    total = between + (raters - 1) * error + raters * (judges - error) / cases
    return (between - error) / total if total > 0 else None
