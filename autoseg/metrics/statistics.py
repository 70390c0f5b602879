"""Means with their uncertainty. Cases of one subject are alike, so subjects are resampled, not cases."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000  # the ends of the interval are then reproducible to about 1 % of its width between seeds
LEVEL = 0.95
BLOCK_ENTRIES = 1 << 23  # resamples are drawn in blocks of this many subject weights


@dataclass(frozen=True)
class PairedDifference:
    """Mean of b - a over cases that both have; `interval` is None with fewer than two groups."""

    mean: float
    interval: tuple[float, float] | None
    cases: int
    groups: int


def bootstrap_interval(
    values: Sequence[float], groups: Sequence[Hashable], *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean of `values`, resampling whole groups with replacement.

    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13. A resample's mean runs over all the cases it
    drew, so a group of many cases weighs more, as it does in the plain mean.

    Args:
        values: one per case.
        groups: the subject of each case.
        level: 0.95 for a 95 % interval.
        resamples: how many.
        seed: same seed, same interval.

    Returns:
        Lower and upper end; None with fewer than two groups, from which no spread can be told.
    """
    if len(values) != len(groups):
        raise ValueError(f"{len(values)} values, but {len(groups)} groups")
    numbers: dict[Hashable, int] = {}
    group = np.array([numbers.setdefault(name, len(numbers)) for name in groups], dtype=np.intp)
    count = len(numbers)
    if count < 2:
        return None
    sums = np.bincount(group, weights=np.asarray(values, dtype=float), minlength=count)
    sizes = np.bincount(group, minlength=count)
    random = np.random.default_rng(seed)
    means = []
    remaining = resamples
    while remaining > 0:
        block = min(remaining, max(1, BLOCK_ENTRIES // count))
        weights = random.multinomial(count, np.full(count, 1 / count), size=block)
        means.append((weights @ sums) / (weights @ sizes))
        remaining -= block
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    groups: Sequence[Hashable],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """Mean of `b - a` over the same cases, with a bootstrap interval over groups; an interval without 0 tells them apart.

    Raises:
        ValueError: no cases, or `a`, `b` and `groups` differ in length.
    """
    if not len(a) == len(b) == len(groups) or not len(a):
        raise ValueError(f"a paired difference needs the same cases twice; there are {len(a)}, {len(b)} and {len(groups)} groups")
    difference = np.asarray(b, dtype=float) - np.asarray(a, dtype=float)
    interval = bootstrap_interval(difference.tolist(), groups, level=level, resamples=resamples, seed=seed)
    return PairedDifference(float(difference.mean()), interval, len(a), len(set(groups)))
