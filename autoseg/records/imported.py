"""`import.json`: what an import made of a set."""

from __future__ import annotations

from autoseg.records.base import Part, Record


class ImportedLabel(Part):
    """One structure: in how many cases it is, and its pixels over all of them."""

    name: str
    cases: int
    pixels: int


class Covered(Part):
    """How many pixels of one label another was drawn over."""

    below: str
    above: str
    pixels: int


class FailedCase(Part):
    """A case that was not imported, and why."""

    id: str
    reason: str


class ImportReport(Record):
    """An import: where from, in which format, and what came of it."""

    source: str
    kind: str
    cases: int
    subjects: int
    empty: int  # cases without any labelled pixel
    labels: tuple[ImportedLabel, ...]
    overlap: str
    covered: tuple[Covered, ...] = ()
    failed: tuple[FailedCase, ...] = ()
    notes: tuple[str, ...] = ()
