"""Two sets of scores of the same cases: what differs between them, how surely, and how much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from autoseg.errors import DataError, Fault
from autoseg.metrics.paired_tests import holm, rank_biserials, wilcoxon_p
from autoseg.metrics.scoring import FIGURES
from autoseg.metrics.statistics import Interval, PairedColumn, group_means, paired_differences
from autoseg.records import CaseScores, StructureScores

Better = Literal["higher", "lower"]

# What is better of a figure. The signed errors of size are left out, of which neither is, and so are the sizes themselves.
BETTER: Mapping[str, Better] = {
    "dice": "higher",
    "iou": "higher",
    "accuracy": "higher",
    "precision": "higher",
    "recall": "higher",
    "surface_dice": "higher",
    "hd_mm": "lower",
    "hd95_mm": "lower",
    "assd_mm": "lower",
    "absolute_size_error": "lower",
    "absolute_relative_size_error": "lower",
    "circumference_mae_mm": "lower",
}
# Those that tell something of their own. IoU and Dice order cases alike, and every further figure makes the correction harder on all.
USUAL = ("dice", "surface_dice", "hd95_mm", "assd_mm", "absolute_relative_size_error", "circumference_mae_mm")
SAME_SIZE = 1e-3  # relative; by how much the mm of two data sets may differ and still be the same
SHOWN_CASES = 3


@dataclass(frozen=True)
class FigureComparison:
    """One figure of one structure, over the cases that have it in both.

    `difference` is the mean of B - A over cases; `interval`, its 95 %, a bootstrap over subjects. `p` is Wilcoxon's, on the means of each
    subject; `p_holm` the same, corrected for all that were tested together. `effect` is the rank-biserial correlation of the same
    differences. None where there are too few subjects.
    """

    structure: str
    figure: str
    better: Better
    cases: int
    subjects: int
    mean_a: float
    mean_b: float
    difference: float
    interval: Interval | None
    p: float | None
    p_holm: float | None
    effect: float
    effect_interval: Interval | None


def compare_scores(
    a: Sequence[CaseScores],
    b: Sequence[CaseScores],
    *,
    figures: Sequence[str] = USUAL,
    seed: int = 0,
) -> tuple[FigureComparison, ...]:
    """Every figure of every structure that some case has in both; all of them are one family for the correction.

    Args:
        a: scored cases; each id once.
        b: of the same reference labels; cases that only one side has are left out.
        figures: of `BETTER`.
        seed: of the intervals.

    Raises:
        DataError: the structures, the subjects or the reference labels of the two differ, or no case is in both.
    """
    pairs = matched(a, b)
    columns = {
        (name, figure): column
        for name in pairs[0][0].structures
        for figure in figures
        if (column := _column(pairs, name, figure))[0]
    }
    differences = paired_differences(list(columns.values()), seed=seed)
    of_subjects = [group_means(after, subjects) - group_means(before, subjects) for before, after, subjects in columns.values()]
    effects = rank_biserials(of_subjects, seed=seed)
    p_values = [wilcoxon_p(one) for one in of_subjects]
    return tuple(
        FigureComparison(
            structure=name,
            figure=figure,
            better=BETTER[figure],
            cases=difference.cases,
            subjects=difference.groups,
            mean_a=float(np.mean(before)),
            mean_b=float(np.mean(after)),
            difference=difference.mean,
            interval=difference.interval,
            p=p,
            p_holm=p_holm,
            effect=effect,
            effect_interval=effect_interval,
        )
        for ((name, figure), (before, after, _)), difference, p, p_holm, (effect, effect_interval) in zip(
            columns.items(), differences, p_values, holm(p_values), effects, strict=True
        )
    )


def matched(a: Sequence[CaseScores], b: Sequence[CaseScores]) -> list[tuple[CaseScores, CaseScores]]:
    """The cases that both have scored, in the order of A.

    Raises:
        DataError: there is none, or their structures, subjects or reference labels differ; a few of the cases are named.
    """
    for name, cases in (("A", a), ("B", b)):
        if twice := [id for id, times in Counter(case.id for case in cases).items() if times > 1]:
            raise DataError(f"{name} scored {some(twice)} more than once, so it is not known what to pair; compare single folds")
    others = {case.id: case for case in b}
    pairs = [(case, others[case.id]) for case in a if case.id in others]
    if not pairs:
        raise DataError(
            f"no case is scored in both: A has {some([case.id for case in a])}, B has {some(list(others))}; compare scores of the same cases"
        )
    structures = set(pairs[0][0].structures)
    different = next((set(case.structures) for pair in pairs for case in pair if set(case.structures) != structures), None)
    if different is not None:
        raise DataError(
            f"the structures differ: {', '.join(sorted(structures))} in A, {', '.join(sorted(different)) or 'none'} in B; "
            "compare models that were scored against the same labels"
        )
    if moved := [first.id for first, second in pairs if first.subject != second.subject]:
        raise DataError(
            f"the subjects differ, so it is not known which cases are of one person: {some(moved)}; score both with the same --subjects"
        )
    faults = [fault for first, second in pairs for fault in _label_faults(first, second)]
    if faults:
        raise DataError([*faults[:SHOWN_CASES], *_more(len(faults) - SHOWN_CASES)])
    return pairs


def some(names: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = len(names) - SHOWN_CASES
    return (", ".join(names[:SHOWN_CASES]) + (f" and {more} more" if more > 0 else "")) or "none"


def _column(pairs: Sequence[tuple[CaseScores, CaseScores]], name: str, figure: str) -> PairedColumn:
    """A figure on both sides, and the subject, of every case where the structure is present and both have the figure."""
    value_of = FIGURES[figure]
    found = [
        (before, after, first.subject)
        for first, second in pairs
        if first.structures[name].present
        and (before := value_of(first.structures[name])) is not None
        and (after := value_of(second.structures[name])) is not None
    ]
    return [before for before, _, _ in found], [after for _, after, _ in found], [subject for _, _, subject in found]


def _label_faults(first: CaseScores, second: CaseScores) -> list[Fault]:
    """What tells that the two were scored against different reference labels, or on another scale of mm."""
    faults = []
    for name, one in first.structures.items():
        other = second.structures[name]
        if one.reference_pixels != other.reference_pixels:
            found = f"{one.reference_pixels} pixels of {name} in A and {other.reference_pixels} in B"
            faults.append(Fault(first.id, f"its reference label has {found}; score both against the same labels"))
        elif not _same_size(one, other):
            found = f"{one.reference_size:g} in A and {other.reference_size:g} in B"
            faults.append(Fault(first.id, f"the size of {name} in its reference is {found}; score both with the same --spacing"))
    return faults[:1]


def _same_size(one: StructureScores, other: StructureScores) -> bool:
    if one.reference_size is None or other.reference_size is None:
        return True
    return abs(one.reference_size - other.reference_size) <= SAME_SIZE * one.reference_size


def _more(count: int) -> list[Fault]:
    return [Fault("data set", f"and {count} cases more")] if count > 0 else []
