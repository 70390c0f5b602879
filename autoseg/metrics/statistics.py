"""Means with their uncertainty. Cases of one subject are alike, so subjects are resampled, not cases."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000  # the ends of the interval are then reproducible to about 1 % of its width between seeds
LEVEL = 0.95
BLOCK_ENTRIES = 1 << 23  # resamples are drawn in blocks of this many subject weights
BLOCK_COLUMNS = 256  # figures whose means are held at a time

Interval = tuple[float, float]
Column = tuple[Sequence[float], Sequence[Hashable]]
PairedColumn = tuple[Sequence[float], Sequence[float], Sequence[Hashable]]


@dataclass(frozen=True)
class PairedDifference:
    """Mean of b - a over cases that both have; `interval` is None with fewer than two groups."""

    mean: float
    interval: Interval | None
    cases: int
    groups: int


def bootstrap_interval(
    values: Sequence[float], groups: Sequence[Hashable], *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
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
    return bootstrap_intervals([(values, groups)], level=level, resamples=resamples, seed=seed)[0]


def bootstrap_intervals(
    columns: Sequence[Column], *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> list[Interval | None]:
    """`bootstrap_interval` of many columns `(values, groups)`, which differ in the cases they are defined for.

    Drawing is what takes time, and depends on nothing but the number of groups: columns of as many groups share their draws, with the
    same result as one by one.
    """
    totals = [_totals(values, groups) for values, groups in columns]
    found: list[Interval | None] = [None] * len(columns)
    by_count: dict[int, list[int]] = {}
    for index, (sums, _) in enumerate(totals):
        by_count.setdefault(len(sums), []).append(index)
    for count, members in by_count.items():
        if count < 2:
            continue
        for start in range(0, len(members), BLOCK_COLUMNS):
            some = members[start : start + BLOCK_COLUMNS]
            sums, sizes = (np.stack([totals[index][part] for index in some], axis=1) for part in (0, 1))
            means = np.concatenate(
                [(weights @ sums) / (weights @ sizes) for weights in resampled_weights(count, resamples, seed)]
            )
            for index, ends in zip(some, percentile_ends(means, level), strict=True):
                found[index] = ends
    return found


def resampled_weights(count: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each of `count` groups is drawn in a resample: blocks of float64 `(some resamples, count)`, in all `resamples` rows."""
    random = np.random.default_rng(seed)
    remaining = resamples
    while remaining > 0:
        block = min(remaining, max(1, BLOCK_ENTRIES // count))
        yield random.multinomial(count, np.full(count, 1 / count), size=block).astype(float)  # whole numbers multiply slowly
        remaining -= block


def percentile_ends(estimates: np.ndarray, level: float = LEVEL) -> list[Interval]:
    """The middle `level` of each column of `(resamples, columns)`."""
    low, high = np.quantile(estimates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def paired_differences(
    columns: Sequence[PairedColumn], *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> list[PairedDifference]:
    """Mean of `b - a` over the same cases, with a bootstrap interval over groups; an interval without 0 tells them apart.

    Of many columns `(a, b, groups)`, which share what is drawn; see `bootstrap_intervals`.

    Raises:
        ValueError: no cases, or `a`, `b` and `groups` differ in length.
    """
    differences = []
    for a, b, groups in columns:
        if not len(a) == len(b) == len(groups) or not len(a):
            found = f"there are {len(a)}, {len(b)} and {len(groups)} groups"
            raise ValueError(f"a paired difference needs the same cases twice; {found}")
        differences.append(((np.asarray(b, dtype=float) - np.asarray(a, dtype=float)).tolist(), groups))
    intervals = bootstrap_intervals(differences, level=level, resamples=resamples, seed=seed)
    return [
        PairedDifference(float(np.mean(values)), interval, len(values), len(set(groups)))
        for (values, groups), interval in zip(differences, intervals, strict=True)
    ]


def group_means(values: Sequence[float], groups: Sequence[Hashable]) -> np.ndarray:
    """One mean per group, in the order in which groups come up first."""
    sums, sizes = _totals(values, groups)
    return sums / sizes


def _totals(values: Sequence[float], groups: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the values and number of the cases of each group."""
    if len(values) != len(groups):
        raise ValueError(f"{len(values)} values, but {len(groups)} groups")
    numbers: dict[Hashable, int] = {}
    group = np.array([numbers.setdefault(name, len(numbers)) for name in groups], dtype=np.intp)
    sums = np.bincount(group, weights=np.asarray(values, dtype=float), minlength=len(numbers))
    return sums, np.bincount(group, minlength=len(numbers)).astype(float)
