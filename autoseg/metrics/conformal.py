"""Intervals of measurements: from how wrong measurements were on cases that no network had seen to a 95 % interval for the next.

Split-conformal prediction (Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005; Lei et al., JASA 113, 2018) with
signed residuals, so that the two sides may differ and a bias is taken out: the interval spans their lower and upper quantiles with the
correction for finite samples. Residuals are relative to the measured value, and, where a difficulty is given, to that. Coverage holds for
any distribution as long as new cases are like the calibration cases; a quantile of 2.5 % on either side needs at least 39 of these.

Cases of one subject weigh together as one: the residuals' distribution is the mean over subjects of each subject's own (the pooling of
distributions of Dunn, Wasserman and Ramdas, JASA 118, 2023). With one case a subject this is split-conformal prediction itself; with several,
coverage is that level nearly, not by proof.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from autoseg.metrics.proportion import LEVEL, group_weights, grouped_proportion
from autoseg.records import MeasurementInterval, Proportion

Interval = tuple[float, float]


@dataclass(frozen=True)
class IntervalFit:
    """A model of intervals, or the sentence that tells why there is none."""

    model: MeasurementInterval | None
    reason: str | None = None


def fewest_subjects(level: float = LEVEL) -> int:
    """How many subjects two-sided intervals of this level need: 39 for 95 %."""
    return ceil(round(2 / (1 - level), 9)) - 1


def fit_interval(
    measured: Sequence[float],
    true: Sequence[float],
    subjects: Sequence[Hashable],
    *,
    difficulty: Sequence[float] | None = None,
    level: float = LEVEL,
) -> IntervalFit:
    """Learn the quantiles of relative residuals (true - measured) / measured.

    Args:
        measured: out-of-fold measurements, above 0; cases that could not be measured must be left out before.
        true: of the same cases.
        subjects: of every case.
        difficulty: of every case, at least 0, higher for harder ones, such as 1 - predicted Dice; residuals are divided by difficulty + its
            median, so that an easy case does not get an interval of no width. None: all are equally hard.
        level: 0.95 for 95 %.

    Raises:
        ValueError: lengths differ, or a value that must be above 0 is not.
    """
    values, truth = np.asarray(measured, float), np.asarray(true, float)
    hard = None if difficulty is None else np.asarray(difficulty, float)
    if not len(values) == len(truth) == len(subjects) or (hard is not None and len(hard) != len(values)):
        raise ValueError("measured and true values, subjects and difficulties must be of the same cases")
    if (values <= 0).any() or (hard is not None and (hard < 0).any()):
        raise ValueError("measured values must be above 0, and difficulties not below")
    n_subjects, wanted = len(set(subjects)), fewest_subjects(level)
    if n_subjects < wanted:
        return IntervalFit(
            None,
            f"No {level:.0%} interval is given: it needs cases of at least {wanted} subjects that no network had seen, there are {n_subjects}.",
        )
    smoothing = None if hard is None else float(np.median(hard)) or 1.0  # where most are not hard at all, all are alike
    residuals = (truth - values) / (values * _scale(hard, smoothing))
    weights = group_weights(subjects)
    low, high = _tail(residuals, weights, level), -_tail(-residuals, weights, level)
    model = MeasurementInterval(level=level, low=low, high=high, smoothing=smoothing, cases=len(values), subjects=n_subjects)
    return IntervalFit(model)


def interval_of(model: MeasurementInterval, measured: float, difficulty: float | None = None) -> Interval | None:
    """The interval of a new measurement, in its unit; None where the model needs a difficulty and there is none."""
    if model.smoothing is not None and difficulty is None:
        return None
    width = measured * (1.0 if model.smoothing is None or difficulty is None else difficulty + model.smoothing)
    return measured + width * model.low, measured + width * model.high


def cross_intervals(
    measured: Sequence[float],
    true: Sequence[float],
    subjects: Sequence[Hashable],
    folds: Sequence[Hashable],
    *,
    difficulty: Sequence[float] | None = None,
    level: float = LEVEL,
) -> tuple[Interval | None, ...]:
    """The interval of every case from the residuals of the other folds' cases; None where these are too few.

    Args:
        measured: as in `fit_interval`, and so are `true`, `subjects`, `difficulty` and `level`.
        true: of the same cases.
        subjects: of every case; all cases of a subject are in one fold.
        folds: that validated each case.
        difficulty: of every case.
        level: of the intervals.
    """
    intervals: list[Interval | None] = [None] * len(measured)
    for fold in dict.fromkeys(folds):
        others = [place for place, other in enumerate(folds) if other != fold]
        fit = fit_interval(
            [measured[place] for place in others],
            [true[place] for place in others],
            [subjects[place] for place in others],
            difficulty=None if difficulty is None else [difficulty[place] for place in others],
            level=level,
        )
        for place, own in enumerate(folds):
            if own == fold and fit.model is not None:
                intervals[place] = interval_of(fit.model, measured[place], None if difficulty is None else difficulty[place])
    return tuple(intervals)


def coverage(intervals: Sequence[Interval | None], true: Sequence[float], subjects: Sequence[Hashable]) -> Proportion | None:
    """How often the truth lies within its interval (or on an end), subjects weighing the same, with an exact binomial interval.

    Cases without an interval are left out; None where there is no other.
    """
    known = [
        (interval[0] <= truth <= interval[1], subject)
        for interval, truth, subject in zip(intervals, true, subjects, strict=True)
        if interval is not None
    ]
    return grouped_proportion([inside for inside, _ in known], [subject for _, subject in known])


def _scale(difficulty: np.ndarray | None, smoothing: float | None) -> np.ndarray:
    return np.ones(()) if difficulty is None or smoothing is None else difficulty + smoothing


def _tail(residuals: np.ndarray, weights: np.ndarray, level: float) -> float:
    """The lower end: the smallest residual at which the weight so far, and 1 for the new case, exceed their share of all.

    With n cases of weight 1 it is the k-th smallest, k = floor((n + 1) (1 - level) / 2).
    """
    order = np.argsort(residuals)
    so_far = np.cumsum(weights[order]) + 1
    share = (weights.sum() + 1) * (1 - level) / 2
    return float(residuals[order][int(np.argmax(so_far > share + 1e-9))])
