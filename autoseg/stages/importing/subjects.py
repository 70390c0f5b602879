"""Whose each imported case is: by the user's rule, as the format tells, or as names of files tell; and what is said where nothing does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from autoseg.annotations.reading import SUBSETS
from autoseg.errors import DataError, Fault
from autoseg.layouts.subjects import EACH_ITS_OWN, assign_subjects, hc18_subject, roboflow_original, subject_in, told_copies
from autoseg.records import Case
from autoseg.stages.importing.matching import Source

FEWEST_FOLDERS = 3  # that may be of patients; fewer are parts of a set rather
DIGITS = re.compile(r"\d+")
EXPRESSIONS = (  # a case's name without its last words; the folder of an image, and the one above
    r"^(.+)[-_ ][^-_ ]*$",
    r"^(.+)[-_ ][^-_ ]*[-_ ][^-_ ]*$",
    r"([^/]+)/[^/]+$",
    r"([^/]+)/[^/]+/[^/]+$",
)


def subjects_of(sources: Sequence[Source], rule: str | Path | None, root: Path) -> tuple[dict[str, str], list[str]]:
    """The subject of each case by its id, and notes.

    Args:
        sources: the cases.
        rule: of the user, as in `layouts.subjects.assign_subjects`; it is tried on the names of the cases, then on those of the images with
            their folders. Without it the format tells, else HC18's and Roboflow's names, else each case is its own.
        root: of the set.

    Raises:
        DataError: the rule does not fit.
    """
    if rule is not None:
        subjects, faults, note = _by_rule(sources, rule)
        if faults:
            raise DataError(faults)
        return subjects, [note]
    files = {one.id: PurePosixPath(one.image.name.replace("\\", "/")).name for one in sources}
    names = {id: file if roboflow_original(file) else id for id, file in files.items()}  # a case's name may have folders in front
    subjects = {one.id: one.image.subject or subject_in(names[one.id]) or one.id for one in sources}
    notes = told_copies(names[one.id] for one in sources if not one.image.subject)
    told = all(one.image.subject or hc18_subject(roboflow_original(names[one.id]) or one.id) for one in sources)
    if not told and 1 < len(sources) == len(set(subjects.values())):
        notes.append(_each_its_own(sources, root))
    return subjects, notes


def _by_rule(sources: Sequence[Source], rule: str | Path) -> tuple[dict[str, str], list[Fault], str]:
    """Subjects by case, faults of the first try if neither fits, and a note."""
    plain = [Case(id=one.id, subject=one.id, images=()) for one in sources]
    cases, faults, note = assign_subjects(plain, rule)
    if faults:  # a rule may mean folders, which the names of cases have lost
        named = [Case(id=one.image.name, subject=one.id, images=()) for one in sources]
        others, wrong, told = assign_subjects(named, rule)
        if not wrong:
            cases, faults, note = others, [], told
    return {one.id: case.subject for one, case in zip(sources, cases, strict=True)}, faults, note


def _each_its_own(sources: Sequence[Source], root: Path) -> str:
    """That each case is its own subject, and what would join those of one folder, where each folder may be of one patient."""
    folders = _patient_folders(sources, root)
    if folders is None:
        return EACH_ITS_OWN
    names = list(dict.fromkeys(PurePosixPath(folder).name for folder in folders))
    wanted = _partition(folders)
    shapes = {DIGITS.sub(r"\\d+", re.escape(name)) for name in names}
    for expression in (*(f"({shape})" for shape in shapes if len(shapes) == 1), *EXPRESSIONS):
        subjects, faults, _ = _by_rule(sources, expression)
        if not faults and _partition([subjects[one.id] for one in sources]) == wanted:
            return (
                f"every case is taken as its own subject; {len(names)} folders such as {names[0]} hold several: where each is one patient, "
                f"give --subjects '{expression}' so that they never stand in training and validation at once"
            )
    return EACH_ITS_OWN


def _patient_folders(sources: Sequence[Source], root: Path) -> list[str] | None:
    """The folder of each case that may be its patient's; None where there are none.

    It has a number, as `patient001`, and no name of a part of the set; there are some, and most hold several cases.
    """
    if not all(one.files[0].is_relative_to(root) for one in sources):
        return None
    parents = [one.files[0].relative_to(root).parent.parts for one in sources]
    for depth in range(min(map(len, parents)), 0, -1):
        folders = ["/".join(parts[:depth]) for parts in parents]
        cases = Counter(folders)
        numbered = all(DIGITS.search(parts[depth - 1]) for parts in parents)
        parts_of_the_set = any(DIGITS.sub("", parts[depth - 1]).strip("-_ ").casefold() in SUBSETS for parts in parents)
        if (
            numbered
            and not parts_of_the_set
            and len(cases) >= FEWEST_FOLDERS
            and 2 * sum(n > 1 for n in cases.values()) > len(cases)
        ):
            return folders
    return None


def _partition(names: Sequence[str]) -> list[int]:
    """Which cases belong together: of each name the place where it stood first."""
    first: dict[str, int] = {}
    return [first.setdefault(name, place) for place, name in enumerate(names)]
