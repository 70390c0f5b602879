"""`scores.json`: agreement of masks with reference labels, per case and structure, and over the set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from autoseg.records.base import Part, Record

Share = Annotated[float, Field(ge=0, le=1)]
SizeUnit = Literal["mm2", "ml"]  # of areas in 2D, of volumes in 3D


class StructureScores(Part):
    """One structure in one case; definitions, and what each figure is where a mask is empty, stand in docs/metrics.md.

    None where a figure is not defined, where the spacing is unknown (what needs mm), or in a file of a version that did not have it.
    """

    present: bool
    missed: bool
    false_alarm: bool
    reference_pixels: int
    predicted_pixels: int
    dice: Share | None
    iou: Share | None
    accuracy: Share
    precision: Share | None
    recall: Share | None
    hd95_mm: float | None
    assd_mm: float | None
    tp: int | None = None  # pixels in both masks, and so on; those of an ignore label are in none of the four
    fp: int | None = None
    fn: int | None = None
    tn: int | None = None
    hd_mm: float | None = None
    surface_dice: Share | None = None  # at the tolerance of the whole set of scores
    reference_size: float | None = None  # mm2 in 2D, ml in 3D
    predicted_size: float | None = None
    size_error: float | None = None  # predicted - reference
    relative_size_error: float | None = None  # size_error / reference; needs no spacing
    circumference_reference_mm: float | None = None
    circumference_predicted_mm: float | None = None


class CaseScores(Part):
    """All structures of one case."""

    id: str
    subject: str
    structures: dict[str, StructureScores]


class Summary(Part):
    """One structure over all cases; means run over the cases where it is present.

    Intervals: 95 % of the mean, bootstrap over subjects; `intervals` holds them by the name of the figure, but for Dice, which has its own.
    """

    cases: int
    present: int
    missed: int
    absent: int
    false_alarms: int
    false_alarm_rate: float | None
    dice: float | None
    dice_interval: tuple[float, float] | None
    dice_median: float | None
    iou: float | None
    accuracy: float | None
    precision: float | None
    recall: float | None
    hd95_mm: float | None
    assd_mm: float | None
    without_mm: int  # cases whose spacing is unknown, left out of the mm figures
    hd_mm: float | None = None
    surface_dice: float | None = None
    reference_size: float | None = None
    predicted_size: float | None = None
    size_error: float | None = None  # the bias: too much and too little cancel
    absolute_size_error: float | None = None
    relative_size_error: float | None = None
    absolute_relative_size_error: float | None = None
    circumference_mae_mm: float | None = None
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)


class Scores(Record):
    """Scores of a set of masks. `mean_dice` is the mean of the targets' mean Dice."""

    labels: str
    predictions: str
    mean_dice: float | None
    cases: tuple[CaseScores, ...]
    summary: dict[str, Summary]
    missing: tuple[str, ...] = ()  # reference cases without a prediction
    tolerance_mm: float | None = None  # of the surface Dice
    size_unit: SizeUnit | None = None
