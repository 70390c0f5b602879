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

LEAST_SPREAD = {"excess": 0.1, "confident": 0.005}  # so that a set that agrees everywhere does not make much of nothing
SIGNALS: dict[str, Callable[[Disagreement], float]] = {
    "excess": lambda one: one.excess,
    "confident": lambda one: one.confident,
}
LARGEST_DEVIATION = 20.0  # beyond, a label is as suspicious (or not) as can be
LEAST_OF_FOLD = 10  # cases with the structure from which a fold has a median of its own
HARDLY_FOUND = 0.1  # median Dice below which networks have not learned a structure, and can say nothing of its labels
TO_STANDARD_DEVIATION = 1.4826  # times the median absolute deviation: the standard deviation of a normal distribution


@dataclass(frozen=True)
class Judged:
    """A case: the fold that had not seen it, and its structures."""

    fold: str
    structures: Mapping[str, Disagreement]


def suspicions(cases: Sequence[Judged]) -> list[dict[str, float]]:
    """By case and structure, how much more label and network disagree than is usual; 0 is usual.

    The mean, over the signals, of deviations from the fold's median in robust standard deviations. Structures that neither has are left
    out, and those of `hardly_found`.
    """
    found: list[dict[str, float]] = [{} for _ in cases]
    unknown = hardly_found(cases)
    for name in dict.fromkeys(name for case in cases for name in case.structures if name not in unknown):
        places = [place for place, case in enumerate(cases) if name in case.structures and case.structures[name].present]
        folds = [cases[place].fold for place in places]
        signals = [
            _deviations([of(cases[place].structures[name]) for place in places], folds, LEAST_SPREAD[signal])
            for signal, of in SIGNALS.items()
        ]
        for place, deviations in zip(places, zip(*signals, strict=True), strict=True):
            found[place][name] = mean(deviations)
    return found


def hardly_found(cases: Sequence[Judged]) -> tuple[str, ...]:
    """Structures that the networks have not learned: enough labels have them, and in most of these nothing of them is found."""
    dices: dict[str, list[float]] = {}
    for case in cases:
        for name, one in case.structures.items():
            if one.label_pixels:
                dices.setdefault(name, []).append(one.dice)
    return tuple(name for name, found in dices.items() if len(found) >= LEAST_OF_FOLD and np.median(found) < HARDLY_FOUND)


def suspicion(structures: Mapping[str, float]) -> float:
    """Of a case: that of its most suspicious structure, so that a small one counts as much as a large one; 0 where it has none."""
    return max(structures.values(), default=0.0)


def _deviations(values: Sequence[float], folds: Sequence[str], least_spread: float) -> list[float]:
    """Robust standard deviations from the median of the fold (of all cases, where a fold has few)."""
    centres = {}
    for fold in dict.fromkeys(folds):
        own = [value for value, of in zip(values, folds, strict=True) if of == fold]
        centres[fold] = float(np.median(own if len(own) >= LEAST_OF_FOLD else values))
    centred = [value - centres[fold] for value, fold in zip(values, folds, strict=True)]
    scale = max(TO_STANDARD_DEVIATION * float(np.median(np.abs(centred))), least_spread) if centred else 1.0
    return [max(-LARGEST_DEVIATION, min(one / scale, LARGEST_DEVIATION)) for one in centred]
