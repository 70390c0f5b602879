"""Which cases train and which validate: folds by subject, stratified by class, written down with their rule and seed.

Only cases with a label take part. Cases of one subject, and exact duplicates whoever they belong to, stay together.
Folds are balanced by iterative stratification (Sechidis, Tsoumakas, Vlahavas 2011): the rarest structure is dealt out first,
each group of cases going to the fold that still needs it most.
"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import DataError, Fault, RecordError
from autoseg.layouts.published_folds import FOLDS, HELD_OUT_SHARE, SEED, place_of
from autoseg.records import FULL, Dataset, Fingerprint, Fold, Splits

SHOWN_NAMES = 5
BY_NAME = "by-name"


@dataclass(frozen=True)
class Group:
    """Cases that must stay together: of one subject, or of several joined by an exact duplicate."""

    name: str
    subjects: tuple[str, ...]
    cases: tuple[str, ...]
    structures: Mapping[str, int]  # in how many of its cases each structure is present


def make_splits(
    dataset: Dataset,
    fingerprint: Fingerprint,
    *,
    folds: int = 5,
    seed: int = 12345,
    hold_out: float | str | Path | None = None,
    splits_file: Path | None = None,
) -> Splits:
    """Deal the labelled cases into folds.

    Args:
        dataset: the cases and their subjects.
        fingerprint: tells which structures are present in a case, and the exact duplicates.
        folds: how many; fewer where there are fewer subjects, which the rule says.
        seed: of the order among equals; the same seed gives the same folds.
        hold_out: share of the subjects (0 to 1) kept out of every fold, or a file (txt, json, csv) of case ids or subjects.
        splits_file: our `splits.json`, or nnU-Net's `splits_final.json`, taken instead of making folds; or `by-name`, see
            `layouts.published_folds`.

    Returns:
        the folds; `rule` tells in one sentence how they came about.

    Raises:
        DataError: no subject is left, fewer than two folds, unknown names, or a file whose folds overlap (all faults at once).
    """
    groups, joined = _groups(dataset, fingerprint)
    if not groups:
        raise DataError("no case has a label, so there is nothing to train on; add labels")
    held, held_rule = _hold_out(groups, hold_out, seed)
    held_cases = tuple(case for group in held for case in group.cases)
    if splits_file is not None and str(splits_file) == BY_NAME:
        return _by_name(groups, [case.id for case in dataset.cases], hold_out)
    if splits_file is not None:
        return _from_file(Path(splits_file), dataset, groups, held_cases, held_rule)
    if folds < 2:
        raise DataError(f"{folds} folds: at least 2 are needed, so that every case is validated by a model that did not see it")
    out = set(held_cases)
    remaining = [group for group in groups if group.cases[0] not in out]
    if not remaining:
        raise DataError(f"no subject is left after holding out {len(held)}; hold out fewer")
    order = [case.id for case in dataset.cases]
    if len(remaining) == 1:
        return Splits(
            rule=_one_subject(remaining[0], joined, held_rule),
            seed=seed,
            folds=(_fold(remaining[0].cases, (), order),),
            held_out=_in_order(held_cases, order),
        )
    number = min(folds, len(remaining))
    bins = deal(remaining, [1 / number] * number, seed, count_cases=True)
    structures = [name for name in _structure_names(groups) if any(group.structures.get(name) for group in remaining)]
    sentences = [
        f"{number} folds grouped by subject ({len(remaining)} groups, {sum(len(group.cases) for group in remaining)} cases), "
        f"stratified by presence of {', '.join(structures) or 'nothing'}, seed {seed}"
    ]
    if number < folds:
        sentences.append(f"{folds} folds were asked for, but there are only {number} subjects")
    sentences += joined + held_rule
    made = tuple(_fold([case for group in remaining for case in group.cases], part, order) for part in bins)
    return Splits(rule="; ".join(sentences), seed=seed, folds=made, held_out=_in_order(held_cases, order))


def _by_name(groups: Sequence[Group], order: Sequence[str], hold_out: object) -> Splits:
    """Five folds and the subjects held out, by the names of the subjects alone."""
    if hold_out is not None:
        raise DataError(f"--splits {BY_NAME} holds out {HELD_OUT_SHARE:g} of the subjects by itself; leave --hold-out out")
    places: dict[int | None, list[Group]] = {}
    for group in groups:
        places.setdefault(place_of(group.name), []).append(group)
    parts = [places.get(number, []) for number in range(FOLDS)]
    if empty := [number for number, part in enumerate(parts) if not part]:
        raise DataError(
            f"by their names, none of the {len(groups)} subjects is validated in fold {empty[0]}; "
            f"--splits {BY_NAME} is for sets of hundreds: leave it out"
        )
    held = [case for group in places.get(None, []) for case in group.cases]
    every = [case for part in parts for group in part for case in group.cases]
    rule = (
        f"{FOLDS} folds by the names of the subjects alone (SHA-256 with seed {SEED}; {len(groups)} groups); "
        f"{len(places.get(None, []))} subjects ({len(held)} cases) are held out of every fold by the same rule"
    )
    made = tuple(_fold(every, part, order) for part in parts)
    return Splits(rule=rule, seed=SEED, folds=made, held_out=_in_order(held, order))


def deal(groups: Sequence[Group], shares: Sequence[float], seed: int, *, count_cases: bool) -> list[list[Group]]:
    """Deal groups into parts of the given shares, so that each part gets its share of every structure.

    Args:
        groups: what is dealt; at least as many as parts, then no part is empty.
        shares: of each part; they add up to 1.
        seed: of the order among equals.
        count_cases: whether parts are measured in cases; otherwise in groups, and a part that has its share takes no more.
    """
    shuffled = sorted(groups, key=lambda group: group.name)
    random.Random(seed).shuffle(shuffled)
    sizes = {group.name: len(group.cases) if count_cases else 1 for group in groups}
    room = [share * sum(sizes.values()) for share in shares]
    need = {
        name: [share * sum(_weight(group, name, count_cases) for group in groups) for share in shares]
        for name in _structure_names(groups)
    }
    parts: list[list[Group]] = [[] for _ in shares]
    waiting = sorted(shuffled, key=lambda group: -sizes[group.name])  # the large first, the small then even out
    while waiting:
        left = {name: sum(1 for group in waiting if group.structures.get(name)) for name in need}
        rarest = min((name for name in left if left[name]), key=lambda name: (left[name], name), default=None)
        batch = [group for group in waiting if rarest is None or group.structures.get(rarest)]
        for group in batch:
            open_parts = [index for index in range(len(parts)) if count_cases or room[index] > 1e-9] or list(range(len(parts)))
            best = max(open_parts, key=lambda index: (need[rarest][index] if rarest else 0.0, room[index], -index))
            parts[best].append(group)
            room[best] -= sizes[group.name]
            for name in need:
                need[name][best] -= _weight(group, name, count_cases)
        taken = {group.name for group in batch}
        waiting = [group for group in waiting if group.name not in taken]
    _fill_empty(parts, sizes)
    return parts


def _weight(group: Group, structure: str, count_cases: bool) -> int:
    present = group.structures.get(structure, 0)
    return present if count_cases else min(present, 1)


def _fill_empty(parts: list[list[Group]], sizes: Mapping[str, int]) -> None:
    """Give every empty part the smallest group of the part that has most."""
    for part in parts:
        richest = max(parts, key=len)
        if not part and len(richest) > 1:
            smallest = min(richest, key=lambda group: sizes[group.name])
            richest.remove(smallest)
            part.append(smallest)


def _groups(dataset: Dataset, fingerprint: Fingerprint) -> tuple[list[Group], list[str]]:
    """Groups of labelled cases in the data set's order, and a sentence where duplicates joined subjects."""
    labelled = {case.id: case.subject for case in dataset.cases if case.label is not None}
    leader = {subject: subject for subject in labelled.values()}

    def find(subject: str) -> str:
        while leader[subject] != subject:
            subject = leader[subject]
        return subject

    joined = []
    for twins in fingerprint.duplicates:
        subjects = list(dict.fromkeys(labelled[id] for id in twins if id in labelled))
        if len(subjects) > 1:
            joined.append(" = ".join(subjects))
        for other in subjects[1:]:
            leader[find(other)] = find(subjects[0])
    members: dict[str, list[str]] = {}
    for id, subject in labelled.items():
        members.setdefault(find(subject), []).append(id)
    present = {facts.id: {name for name, size in facts.structures.items() if size.pixels > 0} for facts in fingerprint.cases}
    targets = [target.name for target in dataset.targets]
    groups = [
        Group(
            name,
            tuple(dict.fromkeys(labelled[id] for id in ids)),
            tuple(ids),
            {target: sum(target in present.get(id, ()) for id in ids) for target in targets},
        )
        for name, ids in members.items()
    ]
    sentence = f"subjects that share an exact duplicate image are kept together: {_listed(joined)}"
    return groups, [sentence] if joined else []


def _structure_names(groups: Iterable[Group]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group.structures))


def _hold_out(groups: Sequence[Group], hold_out: float | str | Path | None, seed: int) -> tuple[list[Group], list[str]]:
    """The groups kept out of every fold, and the sentence that says so."""
    if hold_out is None:
        return [], []
    share = _as_share(hold_out)
    if share is None:
        held, source = _held_by_file(groups, Path(hold_out)), f"by {Path(hold_out).name}"  # type: ignore[arg-type]
    else:
        if not 0 < share < 1:
            raise DataError(f"--hold-out {share:g}: expected a share of the subjects between 0 and 1, or a file that lists them")
        if len(groups) < 3:
            raise DataError(f"--hold-out needs at least 3 subjects (one held out, two for folds), found {len(groups)}")
        number = min(max(1, round(share * len(groups))), len(groups) - 2)
        part = number / len(groups)
        held = deal(groups, [part, 1 - part], seed, count_cases=False)[0]
        source = f"{share:g} of the subjects, stratified, seed {seed}"
    number_of_cases = sum(len(group.cases) for group in held)
    return held, [f"{len(held)} subjects ({number_of_cases} cases) are held out of every fold ({source})"]


def _as_share(hold_out: float | str | Path) -> float | None:
    if isinstance(hold_out, Path):
        return None
    try:
        return float(hold_out)
    except ValueError:
        return None


def _held_by_file(groups: Sequence[Group], path: Path) -> list[Group]:
    """Whole groups of the cases or subjects that a file lists."""
    names = _listed_names(path)
    known = {name for group in groups for name in (*group.subjects, *group.cases)}
    faults = [
        Fault(name, f"is listed in {path.name} but is neither a labelled case nor a subject")
        for name in names
        if name not in known
    ]
    if faults or not names:
        raise DataError(faults or [Fault(path.name, "lists nothing to hold out")])
    wanted = set(names)
    return [group for group in groups if wanted.intersection((*group.subjects, *group.cases))]


def _listed_names(path: Path) -> list[str]:
    """Names from a JSON list, the first column of a CSV, or the lines of a text file (`#` begins a comment)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the hold-out file {path} cannot be read ({error}); give a list of case ids or subjects") from error
    if path.suffix.casefold() == ".json":
        try:
            content: object = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError([Fault(path.name, f"is not valid JSON: {error}")]) from error
        if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
            raise DataError([Fault(path.name, 'expected a JSON list of case ids or subjects, such as ["case_01", "case_07"]')])
        return content
    if path.suffix.casefold() == ".csv":
        cells = [row[0].strip() for row in csv.reader(text.splitlines()) if row and row[0].strip()]
        headers = {"name", "case", "id", "subject", "patient", "image", "filename"}
        return cells[1:] if cells and cells[0].casefold() in headers else cells
    return [line for raw in text.splitlines() if (line := raw.split("#")[0].strip())]


def refuse_unsound(splits: Splits, dataset: Dataset, path: Path) -> None:
    """Folds may be edited by hand in the file they were read from; no case may then teach what it is to judge.

    Raises:
        DataError: cases on both sides of a fold, held out and yet in one, named twice, or not of the data set; all are listed.
    """
    labelled = {case.id for case in dataset.cases if case.label is not None}
    if faults := _faults(splits.folds, splits.held_out, labelled, path):
        raise DataError(faults)


def _from_file(path: Path, dataset: Dataset, groups: Sequence[Group], held: tuple[str, ...], held_rule: list[str]) -> Splits:
    """Folds from a user's file, checked; subjects that stand on both sides are said, not forbidden."""
    given = read_splits(path)
    held_out = set(held) | set(given.held_out)
    folds = [
        Fold(
            train=tuple(id for id in fold.train if id not in held),
            validation=tuple(id for id in fold.validation if id not in held),
        )
        for fold in given.folds
    ]
    faults = _faults(folds, given.held_out, {case for group in groups for case in group.cases}, path)
    if faults:
        raise DataError(faults)
    sentences = [f"{len(folds)} folds from {path.name}", *([given.rule] if given.rule else []), *held_rule]
    group_of = {case: group.name for group in groups for case in group.cases}
    crossing = {
        group for fold in folds for group in {group_of[id] for id in fold.train} & {group_of[id] for id in fold.validation}
    }
    if crossing:
        flattered = f"{len(crossing)} subjects stand in training and validation of one fold, so scores flatter"
        sentences.append(f"{flattered}: {_listed(sorted(crossing))}")
    used = held_out.union(*(set(fold.train) | set(fold.validation) for fold in folds))
    if unused := [case for case in group_of if case not in used]:
        sentences.append(f"{len(unused)} labelled cases are in no fold: {_listed(unused)}")
    order = [case.id for case in dataset.cases]
    return Splits(rule="; ".join(sentences), seed=given.seed, folds=tuple(folds), held_out=_in_order(held_out, order))


def read_splits(path: Path) -> Splits:
    """Our record, or nnU-Net's list of `{"train": [...], "val": [...]}`; whether the folds are sound is not looked at.

    Raises:
        DataError: it is neither.
    """
    try:
        content: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"the splits file {path} cannot be read ({error.strerror})") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError([Fault(path.name, f"is not valid JSON: {error}")]) from error
    if isinstance(content, dict):
        try:
            return Splits.load(path)
        except RecordError as error:
            raise DataError(str(error)) from error
    if not isinstance(content, list) or not content or not all(_is_nnunet_fold(fold) for fold in content):
        raise DataError([Fault(path.name, 'expected our splits.json, or nnU-Net\'s list of {"train": [...], "val": [...]}')])
    folds = tuple(Fold(train=tuple(fold["train"]), validation=tuple(fold["val"])) for fold in content)
    return Splits(rule="", seed=None, folds=folds)


def _is_nnunet_fold(fold: object) -> bool:
    return isinstance(fold, dict) and all(
        isinstance(fold.get(key), list) and all(isinstance(id, str) for id in fold[key]) for key in ("train", "val")
    )


def _faults(folds: Sequence[Fold], held_out: Sequence[str], labelled: set[str], path: Path) -> list[Fault]:
    faults = [Fault(path.name, "holds no folds")] if not folds else []
    named = dict.fromkeys([id for fold in folds for id in (*fold.train, *fold.validation)] + list(held_out))
    faults += [
        Fault(id, f"is named in {path.name} but is no labelled case of this data set") for id in named if id not in labelled
    ]
    for number, fold in enumerate(folds):
        both = sorted(set(fold.train) & set(fold.validation))
        faults += [Fault(id, f"stands in training and validation of fold {number} in {path.name}; keep it in one") for id in both]
        leaked = sorted(set(held_out) & {*fold.train, *fold.validation})
        faults += [Fault(id, f"is held out in {path.name} and yet stands in its fold {number}") for id in leaked]
        for side, ids in (("training", fold.train), ("validation", fold.validation)):
            twice = sorted(id for id, times in Counter(ids).items() if times > 1)
            faults += [Fault(id, f"is named more than once for {side} of fold {number} in {path.name}") for id in twice]
            if not ids and (side == "training" or len(folds) > 1):  # one fold alone may be that of one subject
                faults.append(Fault(path.name, f"fold {number} has no {side} cases (left after holding out); add some"))
    return faults


def _fold(cases: Sequence[str], part: Sequence[Group], order: Sequence[str]) -> Fold:
    validation = {case for group in part for case in group.cases}
    return Fold(
        train=_in_order([case for case in cases if case not in validation], order), validation=_in_order(validation, order)
    )


def _in_order(cases: Iterable[str], order: Sequence[str]) -> tuple[str, ...]:
    wanted = set(cases)
    return tuple(id for id in order if id in wanted)


def _one_subject(group: Group, joined: Sequence[str], held_rule: Sequence[str]) -> str:
    told = (
        f"only one subject ('{group.name}', {len(group.cases)} cases), so nothing is left to validate on: train with --fold {FULL}; "
        "if the set shows several, say which with --subjects REGEX|CSV"
    )
    return "; ".join([told, *joined, *held_rule])


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
