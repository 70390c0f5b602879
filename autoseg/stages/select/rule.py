"""When a candidate replaces what there is: nnU-Net's rule, and a paired bootstrap over subjects so that noise is not adopted.

nnU-Net (2.8.1, `determine_postprocessing`) adopts what raises the mean Dice and lowers that of no structure. Here a candidate must do the same, and
the 95 % interval of the paired difference must lie above 0. It holds for each comparison by itself.

A case counts with the Dice of every structure that is present. Where one is absent the agreement is 1 if nothing was predicted and
0 if something was: a step that removes false alarms is then worth something, as it is for nnU-Net, which counts a false alarm as 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from autoseg.errors import DataError
from autoseg.metrics.statistics import PairedDifference, paired_differences
from autoseg.records import CaseScores, Judgement, StructureScores

Agreement = Mapping[str, float]  # of one case, by structure
FEWEST_SUBJECTS = 6  # of fewer, all may be better by chance alone: 1 in 32 for five
SMALLEST = 1e-9  # a difference of means that is no rounding
TOLD = 5e-5  # the least fall that four digits show
NOTHING_CHANGES = "nothing changes"


def agreement(scores: StructureScores) -> float:
    """Dice where the structure is present; else 1, or 0 for a false alarm."""
    if scores.present:
        return scores.dice or 0.0
    return 0.0 if scores.false_alarm else 1.0


def agreements(cases: Sequence[CaseScores], structures: Sequence[str]) -> dict[str, Agreement]:
    """Of every case."""
    return {case.id: {name: agreement(case.structures[name]) for name in structures} for case in cases}


def judge(
    question: str,
    baseline: tuple[str, Mapping[str, Agreement]],
    candidate: tuple[str, Mapping[str, Agreement]],
    subjects: Mapping[str, str],
    *,
    seed: int = 0,
) -> Judgement:
    """Compare two ways on the cases that both have.

    Args:
        question: what is decided, in words.
        baseline: name, and agreements by case, of what there is.
        candidate: of what may replace it.
        subjects: of every case; they are resampled, not cases.
        seed: of the bootstrap.

    Raises:
        DataError: no case has both.
    """
    both = [case for case in baseline[1] if case in candidate[1]]
    if not both:
        raise DataError(f"{question}: no case was predicted with {baseline[0]} and with {candidate[0]}")
    groups = [subjects[case] for case in both]
    names = list(baseline[1][both[0]])
    a, b = (np.array([[way[case][name] for name in names] for case in both]) for way in (baseline[1], candidate[1]))
    columns = [(a.mean(axis=1), b.mean(axis=1)), *zip(a.T, b.T, strict=True)]
    whole, *single = paired_differences([(one.tolist(), other.tolist(), groups) for one, other in columns], seed=seed)
    adopted, reason = verdict(whole, dict(zip(names, single, strict=True)))
    return Judgement(
        question=question,
        baseline=baseline[0],
        candidate=candidate[0],
        cases=len(both),
        subjects=len(set(groups)),
        baseline_dice=float(a.mean()),
        candidate_dice=float(b.mean()),
        difference=whole.mean,
        interval=whole.interval,
        adopted=adopted,
        reason=reason,
    )


def verdict(whole: PairedDifference, single: Mapping[str, PairedDifference]) -> tuple[bool, str]:
    """Whether the candidate is adopted, and why."""
    if abs(whole.mean) < SMALLEST and (whole.interval is None or max(map(abs, whole.interval)) < SMALLEST):
        return False, NOTHING_CHANGES
    if whole.mean <= 0:
        return False, f"the mean falls by {-whole.mean:.4f}" if whole.mean < -TOLD else "the mean does not rise"
    if whole.interval is None or whole.groups < FEWEST_SUBJECTS:
        return False, f"{whole.groups} subjects are too few to tell, at least {FEWEST_SUBJECTS} are needed"
    low, high = whole.interval
    if low <= 0:
        return False, f"{whole.mean:+.4f} may be chance: 95 % interval {low:+.4f} to {high:+.4f}"
    if lower := [name for name, found in single.items() if found.mean < -SMALLEST and len(single) > 1]:
        return False, f"it lowers {', '.join(f'{name} ({single[name].mean:+.4f})' for name in lower)}"
    return True, f"{whole.mean:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}"
