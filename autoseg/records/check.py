"""`check.json`: what would hurt later in a data set, found before training; and `repairs.json`: what a repaired copy has otherwise."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from autoseg.records.base import Part, Record

Severity = Literal["error", "warning", "note"]
CheckKind = Literal[
    "pairing",
    "names",
    "unused files",
    "unreadable",
    "case fault",
    "grid",
    "place",
    "orientation",
    "undeclared values",
    "rare values",
    "two codings",
    "0 and 255",
    "float labels",
    "not whole numbers",
    "palette",
    "JPEG labels",
    "soft borders",
    "colours",
    "exchanged files",
    "outline",
    "not finite",
    "constant image",
    "constant channel",
    "identical channels",
    "mixed colours",
    "intensity scale",
    "bit depth",
    "empty label",
    "full label",
    "absent structure",
    "stray structure",
    "rare structure",
    "few subjects",
    "spacing",
    "unknown spacing",
    "pixel-size table",
    "exact duplicate",
    "near duplicate",
    "equal labels",
    "leak",
    "burned-in text",
]


class CheckFinding(Part):
    """One thing that was found: a sentence with its numbers and the cure, and the cases it concerns (none: the set as a whole).

    `fixable`: a repaired copy (`--fix`) does not have it. `pictures` are files beside the page, by case. `boxes` are (top, left, bottom, right) in
    pixels of each case that has one.
    """

    kind: CheckKind
    severity: Severity
    told: str
    cases: tuple[str, ...] = ()
    fixable: bool = False
    boxes: dict[str, tuple[int, int, int, int]] = Field(default_factory=dict)
    pictures: dict[str, str] = Field(default_factory=dict)


class CheckReport(Record):
    """All findings, errors first. `read` is how the data set was read, in sentences."""

    dataset: str
    layout: str
    root: str
    rank: int
    cases: int
    labelled: int
    subjects: int
    folds: int
    splits: str | None
    errors: int
    warnings: int
    notes: int
    read: tuple[str, ...]
    findings: tuple[CheckFinding, ...]


class RepairedCase(Part):
    """A case of a repaired copy: what was changed of its label, in sentences (none: copied as it was), and what it still has.

    `filled` are the values, as the copy holds them, whose outlines were filled.
    """

    id: str
    filled: tuple[int, ...] = ()
    changes: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()


class LeftOut(Part):
    """A case that is not in the copy, and why."""

    id: str
    reason: str


class RepairReport(Record):
    """What a repaired copy of a data set holds; `unused` are files beside the images and labels that belong to no case, and are not in it."""

    source: str
    cases: tuple[RepairedCase, ...]
    left_out: tuple[LeftOut, ...]
    unused: tuple[str, ...] = ()
