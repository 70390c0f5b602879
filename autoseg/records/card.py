"""`card.json`: what is told of a model that is handed over: its data as numbers over the whole set, never of one case, and its scores."""

from __future__ import annotations

from pydantic import Field

from autoseg.records.base import Part, Record, Spacing
from autoseg.records.fingerprint import Intensities


class Extent(Part):
    """A figure per axis over the cases of a data set, in array order: (z, y, x) or (y, x)."""

    smallest: Spacing
    median: Spacing
    largest: Spacing


class StructureFacts(Part):
    """A structure of the data: the value that a mask holds for it, and how many cases it is present in (None: unknown)."""

    name: str
    output_value: int | None  # None: derived from others, not painted
    present: int | None


class ValidationFigures(Part):
    """One structure over the validation cases of the folds; None where a figure is not defined."""

    structure: str
    cases: int
    present: int
    missed: int
    false_alarms: int
    dice: float | None
    dice_interval: tuple[float, float] | None  # 95 %, bootstrap over subjects
    hd95_mm: float | None
    assd_mm: float | None
    circumference_mae_mm: float | None = None


class ModelCard(Record):
    """What whoever receives a model has to know of it. None and empty: unknown, as of a model of nnU-Net.

    `folds_planned` counts those of the cross-validation; `folds` are handed over, `validated` those that the figures are of.
    `subjects` is None where every case was taken as its own.
    """

    made_with: str
    data: str
    channels: tuple[str, ...]
    rank: int
    configuration: str
    stages: tuple[str, ...]  # the configurations that run one after another; one but for a cascade
    structures: tuple[StructureFacts, ...]
    regions: bool
    folds: tuple[str, ...]
    folds_planned: int | None = None
    validated: tuple[str, ...] = ()
    validation: tuple[ValidationFigures, ...] = ()
    cases: int | None = None
    subjects: int | None = None
    held_out: int = 0
    without_spacing: int = 0  # cases
    spacing_mm: Extent | None = None
    shape: Extent | None = None
    orientations: dict[str, int] = Field(default_factory=dict)
    selection: tuple[
        str, ...
    ] = ()  # sentences on how it is applied, and on what it tells of its masks; empty: `select` was not run
    intensities: tuple[Intensities, ...] = ()  # per channel, over the foreground of all cases
    source: dict[str, str] = Field(default_factory=dict)  # what the data set says of itself: description, reference, licence
