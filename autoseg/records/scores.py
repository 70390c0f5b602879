"""`scores.json`: agreement of masks with reference labels, per case and structure, and over the set."""

from __future__ import annotations

from autoseg.records.base import Part, Record


class StructureScores(Part):
    """One structure in one case. None where a figure is not defined.

    Absent in the reference: overlap and distances are None, `false_alarm` tells whether something was predicted.
    Present but missed: dice is 0, distances are the image diagonal in mm, `missed` is True.
    Distances are None, too, where the spacing is unknown.
    """

    present: bool
    missed: bool
    false_alarm: bool
    reference_pixels: int
    predicted_pixels: int
    dice: float | None
    iou: float | None
    accuracy: float
    precision: float | None
    recall: float | None
    hd95_mm: float | None
    assd_mm: float | None
    circumference_reference_mm: float | None = None
    circumference_predicted_mm: float | None = None


class CaseScores(Part):
    """All structures of one case."""

    id: str
    subject: str
    structures: dict[str, StructureScores]


class Summary(Part):
    """One structure over all cases; means run over the cases where it is present. Interval: 95 %, bootstrap over subjects."""

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
    circumference_mae_mm: float | None = None


class Scores(Record):
    """Scores of a set of masks. `mean_dice` is the mean of the targets' mean Dice."""

    labels: str
    predictions: str
    mean_dice: float | None
    cases: tuple[CaseScores, ...]
    summary: dict[str, Summary]
    missing: tuple[str, ...] = ()  # reference cases without a prediction
