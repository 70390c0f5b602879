"""Which masks a person should look at, so that few good ones are among them.

Scores of suspicion (the higher, the worse: 1 - predicted Dice, the misfit of an ellipse) are compared with those of good calibration cases,
by rank: the threshold of each score is its k-th largest value among these, with one k for all scores, so that a case is flagged where its
smallest rank p-value is small. k is the largest for which the share of good cases flagged by any score stays within the rate, which makes
the rate hold jointly, however the scores depend on each other.

That new good cases are flagged at no more than the rate follows from exchangeability, as in conformal prediction (Vovk, Gammerman and Shafer,
"Algorithmic learning in a random world", 2005): among n calibration cases and the new one, each is equally likely to be among those that have a
score of rank k or better. With one score these are k of n + 1. With several, they are at most 1 more than the calibration cases of which some
score is among the k largest of theirs.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.metrics.proportion import proportion
from autoseg.records import Proportion, ReviewRule

GOOD_DICE = 0.9
RATE = 0.1  # of good cases that are flagged

Scores = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class ReviewFit:
    """A rule, or the sentence that tells why there is none."""

    rule: ReviewRule | None
    reason: str | None = None


@dataclass(frozen=True)
class ReviewRates:
    """How a rule did: the share of good cases that it flags, and the share of bad ones that it finds. None where there are none."""

    good_flagged: Proportion | None
    bad_found: Proportion | None


def fit_review(scores: Scores, good: Sequence[bool], *, rate: float = RATE) -> ReviewFit:
    """The thresholds of suspicion.

    Args:
        scores: by name, for every calibration case; None where a score is not defined, which does not raise suspicion. Give infinity
            where it should. All cases are taken for exchangeable, several of one subject, too.
        good: which cases are good (Dice of at least 0.9, measurement right within its limit).
        rate: largest share of good cases to be flagged.

    Returns:
        The rule, or why there is none: with n good cases `rate * (n + 1)` must be at least 1, and, with several scores, at least 1 more
        than the number of different cases that hold the largest value of one.
    """
    table = np.array([[-np.inf if value is None else value for value in values] for values in scores.values()], float)
    if not len(scores) or table.shape[1] != len(good):
        raise ValueError(f"scores of {len(good)} cases are wanted, found {[len(values) for values in scores.values()]}")
    table = table[:, np.asarray(good, bool)]
    n_good = table.shape[1]
    allowed = int(np.floor(rate * (n_good + 1) + 1e-9))
    rank = _largest_rank(table, allowed)
    if rank is None:
        several = "" if len(scores) == 1 else f" and {len(scores)} scores"
        return ReviewFit(
            None,
            f"No mask is flagged for review: {n_good} good cases{several} are too few to flag at most {rate:.0%} of good ones; "
            f"{int(np.ceil((1 if len(scores) == 1 else 1 + len(scores)) / rate)) - 1} are enough.",
        )
    descending = -np.sort(-table, axis=1)
    thresholds = {name: float(values[rank - 1]) for name, values in zip(scores, descending, strict=True)}
    finite = {name: value for name, value in thresholds.items() if np.isfinite(value)}
    return ReviewFit(ReviewRule(thresholds=finite, rate=rate, good_cases=n_good))


def suspicious(rule: ReviewRule, scores: Mapping[str, float | None]) -> tuple[str, ...]:
    """The names of the scores for which a case is to be reviewed; empty for most."""
    return tuple(
        name for name, threshold in rule.thresholds.items() if (value := scores.get(name)) is not None and value > threshold
    )


def cross_review(
    scores: Scores, good: Sequence[bool], folds: Sequence[Hashable], *, rate: float = RATE
) -> tuple[bool | None, ...]:
    """For every case whether it is flagged by a rule of the other folds' cases; None where these are too few for a rule."""
    flagged: list[bool | None] = [None] * len(good)
    for fold in dict.fromkeys(folds):
        others = [place for place, other in enumerate(folds) if other != fold]
        fit = fit_review(
            {name: [values[place] for place in others] for name, values in scores.items()},
            [good[place] for place in others],
            rate=rate,
        )
        for place, own in enumerate(folds):
            if own == fold and fit.rule is not None:
                flagged[place] = bool(suspicious(fit.rule, {name: values[place] for name, values in scores.items()}))
    return tuple(flagged)


def review_rates(flagged: Sequence[bool | None], good: Sequence[bool]) -> ReviewRates:
    """Exact binomial 95 % intervals of what a rule does to good and bad cases; cases without a verdict are left out."""

    def of(wanted: bool) -> Proportion | None:
        verdicts = [flag for flag, is_good in zip(flagged, good, strict=True) if flag is not None and bool(is_good) == wanted]
        return proportion(sum(verdicts), len(verdicts))

    return ReviewRates(of(True), of(False))


def _largest_rank(table: np.ndarray, allowed: int) -> int | None:
    """The largest k for scores (names, cases), None if there is none.

    One score: k <= allowed. Several: the cases among the k largest of any score, ties included, and one more, are at most `allowed`.
    """
    if len(table) == 1:
        return min(allowed, table.shape[1]) or None
    descending = -np.sort(-table, axis=1)
    found = None
    for rank in range(1, min(allowed, table.shape[1]) + 1):
        among = (table >= descending[:, rank - 1, None]) & np.isfinite(descending[:, rank - 1, None])
        if np.count_nonzero(among.any(0)) + 1 > allowed:
            break
        found = rank
    return found
