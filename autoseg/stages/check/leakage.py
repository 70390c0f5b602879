"""Folds in which something stands on both sides: a case, a subject, or an image under two names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from autoseg.layouts.base import listed
from autoseg.records import CheckFinding, Splits
from autoseg.stages.check.duplicates import Twins
from autoseg.stages.check.facts import SetLook, counted, finding

Sides = tuple[str, Sequence[str], str, Sequence[str]]  # what one side is called, its cases, and the other


def leaks(the_set: SetLook, twins: Twins) -> list[CheckFinding]:
    """Whatever a fold trains on and is judged by, or is held out and yet in a fold; and names that the set does not have."""
    splits = the_set.splits
    if splits is None:
        return []
    subject = the_set.subject_of()
    found = _strangers(the_set, splits)
    for one, cases, other, others in sides_of(splits):
        where = f"{one} and {other}"
        both = sorted(set(cases) & set(others))
        if both:
            found.append(finding("leak", "error", f"{counted(len(both), 'case')} in {where} both; keep each in one", both))
        people = shared(cases, others, subject)
        apart = {name: members for name, members in people.items() if not set(members).issubset(both)}
        for name, members in apart.items():
            found.append(
                finding("leak", "error", f"subject {name} stands in {where}, so scores flatter; split by subject", members)
            )
        found += _twins(cases, others, where, twins, covered={case for members in people.values() for case in members})
    return found


def sides_of(splits: Splits) -> list[Sides]:
    """What must not share anything: the two sides of every fold, and what is held out against all folds."""
    sides: list[Sides] = [
        (f"training of fold {number}", fold.train, f"its validation (fold {number})", fold.validation)
        for number, fold in enumerate(splits.folds)
    ]
    if splits.held_out:
        inside = tuple(dict.fromkeys(case for fold in splits.folds for case in (*fold.train, *fold.validation)))
        sides.append(("what is held out", splits.held_out, "the folds", inside))
    return sides


def shared(one: Iterable[str], other: Iterable[str], subject: Mapping[str, str]) -> dict[str, list[str]]:
    """Subjects with cases on both sides, and those cases."""
    here: dict[str, dict[str, None]] = {}
    there: dict[str, dict[str, None]] = {}
    for cases, side in ((one, here), (other, there)):
        for case in cases:
            if case in subject:
                side.setdefault(subject[case], {})[case] = None
    return {name: list({**cases, **there[name]}) for name, cases in here.items() if name in there}


def _twins(one: Iterable[str], other: Iterable[str], where: str, twins: Twins, covered: set[str]) -> list[CheckFinding]:
    """Duplicates on both sides; not told again for cases whose subject is on both sides anyway."""
    here, there = set(one), set(other)
    found = []
    for group in twins.exact:
        if set(group) & here and set(group) & there and not set(group).issubset(covered):
            found.append(
                finding("leak", "error", f"one image stands under {len(group)} names in {where}; keep them on one side", group)
            )
    for pair in twins.near:
        cases = (pair.one, pair.other)
        crossing = (pair.one in here and pair.other in there) or (pair.other in here and pair.one in there)
        if crossing and not set(cases).issubset(covered):
            told = f"nearly the same image (likeness {pair.likeness:.2f}) stands in {where}; keep both on one side"
            found.append(finding("leak", "warning", told, cases))
    return found


def _strangers(the_set: SetLook, splits: Splits) -> list[CheckFinding]:
    known = {look.case.id for look in the_set.looks if look.case.label is not None}
    named = dict.fromkeys([*(case for fold in splits.folds for case in (*fold.train, *fold.validation)), *splits.held_out])
    found = []
    if strangers := [case for case in named if case not in known]:
        told = f"the folds name {counted(len(strangers), 'case')} that the set does not have with a label: {listed(strangers)}"
        found.append(finding("leak", "error", told, strangers))
    if left := [case for case in known if case not in named]:
        told = f"{counted(len(left), 'labelled case')} of {len(known)} in no fold: {listed(sorted(left))}"
        found.append(finding("leak", "note", told, sorted(left)))
    return found
