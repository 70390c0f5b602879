"""In which order a person should look at the labels of a set: by how unusual the disagreement of label and network is among the cases.

Figures of different structures, and of folds that are trained better or worse, are not comparable as they are. Each is therefore told as
deviations from the median of its own structure and fold, by the spread over all cases of the structure, and then they can be averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from autoseg.metrics.label_quality import Disagreement

SIGNALS: dict[str, Callable[[Disagreement], float | None]] = {
    "surprise": lambda one: one.surprise,
    "confident": lambda one: one.confident,
    "distance": lambda one: one.distance,
}
LEAST_SPREAD = 0.005  # of figures between 0 and 1, so that a set that agrees everywhere does not make much of nothing
LARGEST_DEVIATION = 20.0  # beyond, a label is as suspicious as can be
LEAST_OF_FOLD = 10  # cases with the structure from which a fold has a median of its own
TO_STANDARD_DEVIATION = 1.4826  # times the median absolute deviation: the standard deviation of a normal distribution


@dataclass(frozen=True)
class Judged:
    """A case: the fold that had not seen it, and its structures."""

    fold: str
    structures: Mapping[str, Disagreement]


def suspicions(cases: Sequence[Judged]) -> list[dict[str, float]]:
    """By case and structure, how much more label and network disagree than is usual; 0 is usual. Structures that neither has are left out.

    The mean, over the signals, of deviations from the fold's median in robust standard deviations. A structure that only one side has
    has no distance; its mean is over the others.
    """
    found: list[dict[str, float]] = [{} for _ in cases]
    for name in dict.fromkeys(name for case in cases for name in case.structures):
        places = [place for place, case in enumerate(cases) if name in case.structures and case.structures[name].present]
        folds = [cases[place].fold for place in places]
        signals = []
        for signal in SIGNALS.values():
            values = [signal(cases[place].structures[name]) for place in places]
            signals.append(_deviations(values, folds))
        for index, place in enumerate(places):
            known = [signal[index] for signal in signals]
            found[place][name] = mean(one for one in known if one is not None)
    return found


def suspicion(structures: Mapping[str, float]) -> float:
    """Of a case: that of its most suspicious structure, so that a small one counts as much as a large one; 0 where it has none."""
    return max(structures.values(), default=0.0)


def _deviations(values: Sequence[float | None], folds: Sequence[str]) -> list[float | None]:
    """Robust standard deviations from the median of the fold (of all cases, where a fold has few); None stays None."""
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return [None] * len(values)
    centres = {}
    for fold in dict.fromkeys(folds):
        own = [value for value, of in zip(values, folds, strict=True) if of == fold and value is not None]
        centres[fold] = float(np.median(own if len(own) >= LEAST_OF_FOLD else known))
    centred = [None if value is None else value - centres[fold] for value, fold in zip(values, folds, strict=True)]
    spread = TO_STANDARD_DEVIATION * float(np.median([abs(one) for one in centred if one is not None]))
    scale = max(spread, LEAST_SPREAD)
    return [None if one is None else min(one / scale, LARGEST_DEVIATION) for one in centred]
