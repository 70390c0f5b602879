"""Labels that are empty or full, structures that are absent, rare, a few strokes only, or drawn as an outline; too few subjects for the folds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoseg.metrics.label_forms import Form, unusual_forms
from autoseg.records import CheckFinding
from autoseg.stages.check.facts import SetLook, counted, finding
from autoseg.stages.check.lines import WIDEST_PEN
from autoseg.stages.check.values import is_unreadable_mask

MANY = 0.2  # of the labels; where so many are empty, the set is one of a search, and no case is at fault
FULL = 0.98  # of the pixels are foreground
USUAL = 0.5  # of the labels; what most of them are is how the set is
RARE = 0.05  # of the labels
NEARLY_ALL = 0.95  # of the labels with a value; the others may be cut off, or closed by a blot
FEWEST_OUTLINES = 3  # of one or two nobody can say what is usual


def extents(the_set: SetLook) -> list[CheckFinding]:
    """Labels without foreground, and labels that are nothing else."""
    empty, full, judged = [], [], 0
    for look, label in the_set.labelled():
        if is_unreadable_mask(label):
            continue
        judged += 1
        background = label.counts.get("0", 0) + label.counts.get("0,0,0", 0)
        if background >= label.size:
            empty.append(look.case.id)
        elif label.size - background >= FULL * label.size:
            full.append(look.case.id)
    found = []
    if empty:
        told = f"{counted(len(empty), 'label')} of {judged} without foreground; right where nothing is to be seen, and wrong where it was forgotten"
        found.append(finding("empty label", "note" if len(empty) > MANY * judged else "warning", told, empty))
    if full and len(full) < USUAL * judged:
        told = f"{counted(len(full), 'label')} of {judged} with foreground in {FULL:.0%} of the image or more; the mask is inverted, or another file?"
        found.append(finding("full label", "warning", told, full))
    elif full:
        what = f"{counted(len(full), 'label')} of {judged} with foreground in {FULL:.0%} of the image or more"
        told = f"{what}; is what is around everything declared as a structure?"
        found.append(finding("full label", "note", told))
    return found


def presence(the_set: SetLook) -> list[CheckFinding]:
    """Structures in no label, in few of them, or in the labels of fewer subjects than there are folds."""
    sizes = [(look, sizes) for look in the_set.looks if (sizes := the_set.structure_pixels(look)) is not None]
    if not sizes:
        return []
    if not any(pixels for _, one in sizes for pixels in one.values()):
        told = f"no label has any structure ({counted(len(sizes), 'label')} looked at); nothing can be learned: are these the right files?"
        return [finding("absent structure", "error", told)]
    folds = min(the_set.folds, len({look.case.subject for look, _ in sizes}))  # of fewer subjects there will be fewer
    found = []
    for target in the_set.dataset.targets:
        cases = [look.case.id for look, one in sizes if one[target.name]]
        subjects = {look.case.subject for look, one in sizes if one[target.name]}
        where = f"{target.name} is in {counted(len(cases), 'label')} of {len(sizes)}, of {counted(len(subjects), 'subject')}"
        if not cases:
            told = f"{target.name} is in no label; it cannot be learned or scored: take it out of the declaration, or add labels"
            found.append(finding("absent structure", "warning", told))
        elif len(subjects) < folds:
            told = f"{where}, fewer than the {folds} folds: some folds cannot judge it; label more, or plan fewer folds"
            found.append(finding("rare structure", "warning", told, cases))
        elif len(cases) < RARE * len(sizes):
            found.append(finding("rare structure", "note", f"{where}; scores of it will rest on few images", cases))
    return found


def strokes(the_set: SetLook) -> list[CheckFinding]:
    """Structures of a few pixels, against what is usual of them in the set (the rule is `metrics.label_forms`')."""
    looks, sizes = [], []
    for look in the_set.looks:
        pixels = the_set.structure_pixels(look)
        if pixels is not None:
            looks.append(look)
            sizes.append({name: Form(number, min(number, 1), 0, 0, 0) for name, number in pixels.items()})
    told = unusual_forms(sizes, the_set.dataset.rank, [None] * len(sizes))
    return [
        finding("stray structure", "warning", f"{one.told}; a slip of the brush?", [look.case.id])
        for look, findings in zip(looks, told, strict=True)
        for one in findings
        if one.kind == "stray value"
    ]


def outlines(the_set: SetLook) -> list[CheckFinding]:
    """Structures drawn as a thin line around background; fixable where a copy may fill them, see `fillable`."""
    filled_in_copy = fillable(the_set)
    groups: dict[tuple[str, bool], list[tuple[str, int, int]]] = defaultdict(list)
    for look, label in the_set.labelled():
        for key, area in label.outlines.items():
            filled = look.case.id in filled_in_copy.get(key, ())
            groups[key, filled].append((look.case.id, label.counts[key], area))
    found = []
    for (key, filled), cases in groups.items():
        share = sum(line for _, line, _ in cases) / sum(area for _, _, area in cases)
        where = f"in {counted(len(cases), 'label')} (the line is {share:.0%} of what it encloses)"
        cure = (
            "fill it"
            if filled
            else "right of a ring, a wall or a shell; if it stands for its inside, fill it yourself: a copy fills lines of "
            f"{WIDEST_PEN} pixels at most, and only where {NEARLY_ALL:.0%} of the labels with this value (and {FEWEST_OUTLINES} at least) have one"
        )
        told = f"the value {key} is drawn as a thin line around background {where}, and would be learned as a line; {cure}"
        found.append(finding("outline", "warning", told, [name for name, _, _ in cases], fixable=filled))
    return found + _open_lines(the_set, filled_in_copy)


def _open_lines(the_set: SetLook, filled_in_copy: Mapping[str, frozenset[str]]) -> list[CheckFinding]:
    """Cases whose line nothing can fill, where most labels have outlines."""
    found = []
    for key, cases in unfillable(the_set).items():
        told = (
            f"the value {key} is a thin line in {counted(len(cases), 'label')}, too, but neither closed nor most of an ellipse, so that "
            "nothing tells what it encloses; close it (along the border, where it leaves the picture), or fill it"
        )
        told += "; a copy, in which the others are filled, leaves it out" if key in filled_in_copy else ""
        found.append(finding("outline", "warning", told, cases))
    return found


def fillable(the_set: SetLook) -> dict[str, frozenset[str]]:
    """Values that are outlines without a doubt, and the cases in which they may be filled.

    The line has to be as thin as a pen in nearly all labels that have the value: a structure that is a ring by nature (a wall of the heart, a
    sheath, a skull) is thicker in some, and one that is a disc in the other labels may really be a ring here.
    """
    return {
        key: frozenset(one.closed)
        for key, one in _lines(the_set).items()
        if len(one.closed) >= FEWEST_OUTLINES and len(one.closed) >= NEARLY_ALL * one.holders
    }


def unfillable(the_set: SetLook) -> dict[str, tuple[str, ...]]:
    """By value, where most labels that have it are outlines: cases in which it is as thin, and encloses nothing."""
    return {
        key: tuple(one.open)
        for key, one in _lines(the_set).items()
        if one.open and len(one.closed) >= FEWEST_OUTLINES and len(one.closed) >= USUAL * one.holders
    }


@dataclass
class _Lines:
    """Of a value: the number of labels that have it, and the cases in which it is as thin as a pen, around background or not."""

    holders: int = 0
    closed: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)


def _lines(the_set: SetLook) -> dict[str, _Lines]:
    found: dict[str, _Lines] = defaultdict(_Lines)
    for look, label in the_set.labelled():
        if is_unreadable_mask(label):
            continue
        for key in label.counts:
            found[key].holders += 1
        for key in label.by_pen:
            (found[key].closed if key in label.outlines else found[key].open).append(look.case.id)
    return found


def subjects(the_set: SetLook) -> list[CheckFinding]:
    """Whether there are subjects enough for the folds."""
    names = {look.case.subject for look in the_set.looks if look.case.label is not None}
    if len(names) >= the_set.folds:
        return []
    if len(names) == 1:
        told = (
            "all labelled cases are of one subject, so nothing can judge what is learned, and only `train --fold full` is left; "
            "name the subjects with --subjects, or add some"
        )
        return [finding("few subjects", "warning", told)]
    told = f"{counted(len(names), 'subject')} for {the_set.folds} folds; there will be {len(names)} folds"
    return [finding("few subjects", "warning", told)]
