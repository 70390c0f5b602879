"""`dataset.json`: the cases of a data set, where their files lie, and what their labels mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from autoseg.records.base import Part, Record, Spacing

BACKGROUND = 0


class Structure(Part):
    """A named structure: the set of internal label values that belong to it."""

    name: str
    values: tuple[int, ...]
    output_value: int  # what a predicted mask holds for it


class ValueEncoding(Part):
    """Labels stored as grey values: `values` maps what is on disk to the internal value (0 = background)."""

    kind: Literal["values"] = "values"
    values: dict[int, int]


class ColourEncoding(Part):
    """Labels stored as colours: `colours` maps "r,g,b" to the internal value."""

    kind: Literal["colours"] = "colours"
    colours: dict[str, int]


class OutlineEncoding(Part):
    """Labels stored as an elliptic outline, to be filled to its centre line with `value`."""

    kind: Literal["outline"] = "outline"
    value: int = 1


LabelEncoding = Annotated[ValueEncoding | ColourEncoding | OutlineEncoding, Field(discriminator="kind")]


class Case(Part):
    """One case. File paths are relative to `Dataset.root` unless absolute.

    `images` has either one file per channel, or one file that holds all channels (RGB, or a 4D volume).
    `spacing_mm` is set where a table gives it (2D, order y, x); None leaves it to the file, and for formats without
    a trustworthy one to "unknown".
    """

    id: str
    subject: str
    images: tuple[str, ...]
    label: str | None = None
    group: str | None = None
    encoding: str = "default"  # key into Dataset.encodings
    spacing_mm: Spacing | None = None


class Dataset(Record):
    """A data set as found on disk.

    Internal label values are 0 (background), 1..K, and `ignore_value` (K + 1) where an ignore label is declared.
    `targets` is what the network learns: one structure per internal value (`regions` False), or overlapping unions
    (`regions` True; masks are painted in the order of `targets`, later ones over earlier ones).
    `derived` are unions of internal values, computed afterwards for scores and measures.
    """

    name: str
    layout: str
    root: str
    rank: Literal[2, 3]
    channels: tuple[str, ...]
    targets: tuple[Structure, ...]
    derived: tuple[Structure, ...] = ()
    regions: bool = False
    ignore_value: int | None = None
    encodings: dict[str, LabelEncoding]
    trust_file_spacing: bool = False  # whether a 2D file's own resolution tag counts
    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()  # what was recognised, mapped or assumed, in sentences

    def path(self, file: str) -> Path:
        """Where a case's file lies."""
        return Path(self.root) / file
