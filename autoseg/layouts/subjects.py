"""Which subject (patient) a case belongs to: by a rule of the layout, a regular expression, or a table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from autoseg.errors import DataError, Fault
from autoseg.layouts.base import aliases
from autoseg.layouts.mm_table import read_subjects
from autoseg.records import Case

EACH_ITS_OWN = (
    "every case is taken as its own subject; if some show the same patient, give --subjects REGEX|CSV "
    "so that they never stand in training and validation at once"
)
HC18_NAME = re.compile(r"^(?P<subject>\d+)_\d*HC$", re.IGNORECASE)
ROBOFLOW_NAME = re.compile(r"^(?P<original>.+)_(png|jpe?g|bmp|tiff?|webp)\.rf\.", re.IGNORECASE)


def hc18_subject(stem: str) -> str | None:
    """The number before `_` in `NNN_HC`, `NNN_2HC` ...; None for other names."""
    match = HC18_NAME.match(stem)
    return match["subject"] if match else None


def roboflow_original(name: str) -> str | None:
    """The picture of which `NAME_png.rf.HASH` (or another format) is a copy, turned or cut by Roboflow; None for other names."""
    match = ROBOFLOW_NAME.match(name)
    return match["original"] if match else None


def subject_in(name: str) -> str | None:
    """Whose a case is by the names of HC18 and Roboflow; None for other names."""
    original = roboflow_original(name)
    return hc18_subject(original or name) or original


def told_copies(names: Iterable[str]) -> list[str]:
    """A note where several names are Roboflow's of one picture."""
    originals = [original for original in map(roboflow_original, names) if original]
    distinct = len(set(originals))
    if distinct == len(originals):
        return []
    told = f"{len(originals)} images are copies of {distinct} originals, by Roboflow's names"
    return [f"{told}; a copy and its original are one subject"]


def assign_subjects(cases: Sequence[Case], rule: str | Path) -> tuple[tuple[Case, ...], list[Fault], str]:
    """Cases with the subjects that a rule gives, the faults of cases it leaves without one, and a note.

    Args:
        cases: the cases.
        rule: a CSV file (name, subject), or a regular expression searched in the case's id: its first group is the
            subject, or the whole match where it has none.

    Raises:
        DataError: the expression is not valid, the table is missing or unusable.
    """
    if isinstance(rule, Path) or rule.casefold().endswith((".csv", ".tsv")) or Path(rule).is_file():
        subjects, faults = read_subjects(Path(rule), aliases(cases))
        source = f"the table {Path(rule).name}"
    else:
        subjects, faults = _by_expression(cases, rule)
        source = f"the expression {rule!r}"
    assigned = tuple(case.model_copy(update={"subject": subjects.get(case.id, case.subject)}) for case in cases)
    return assigned, faults, f"subjects by {source}: {len({case.subject for case in assigned})} in {len(assigned)} cases"


def _by_expression(cases: Sequence[Case], expression: str) -> tuple[dict[str, str], list[Fault]]:
    try:
        pattern = re.compile(expression)
    except re.error as error:
        message = f"--subjects {expression!r} is neither a valid regular expression ({error}) nor an existing CSV file"
        raise DataError(message) from error
    subjects: dict[str, str] = {}
    faults: list[Fault] = []
    for case in cases:
        match = pattern.search(case.id)
        subject = (match[1] if pattern.groups else match[0]) if match else None
        if subject:
            subjects[case.id] = subject
        else:
            faults.append(Fault(case.id, f"the subject expression {expression!r} does not match its name; widen it or use a CSV"))
    return subjects, faults
