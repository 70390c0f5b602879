"""What a model's predictions are worth, learned on cases that no network had seen: part of `model.json`, and what was found out of fold."""

from __future__ import annotations

from pydantic import Field

from autoseg.records.base import Part
from autoseg.records.calibration import (
    DicePredictor,
    FamiliarRange,
    MeasurementInterval,
    Proportion,
    RankCorrelation,
    ReviewRule,
)


class Trust(Part):
    """What `predict` tells beside a mask.

    Args:
        predicted_dice: by target, from the evidence of the networks.
        review: when a person should look at a mask; None: no mask is flagged, and `review_off` says why.
        review_off: a sentence.
        empty_is_suspicious: whether a mask in which nothing was found is flagged: not where such masks were right out of fold.
        familiar: what images of the training were like.
        intervals: 95 % intervals, by structure and measure.
        temperature: by which logits are divided before they become probabilities that are saved.
    """

    predicted_dice: dict[str, DicePredictor] = Field(default_factory=dict)
    review: ReviewRule | None = None
    review_off: str | None = None
    empty_is_suspicious: bool = True
    familiar: tuple[FamiliarRange, ...] = ()
    intervals: dict[str, dict[str, MeasurementInterval]] = Field(default_factory=dict)
    temperature: float = Field(default=1.0, gt=0)


class IntervalReport(Part):
    """How often an interval from the other folds' cases held the truth; `reason` where there is none."""

    structure: str
    measure: str
    coverage: Proportion | None
    median_width: float | None
    unit: str
    reason: str | None = None


class TrustReport(Part):
    """How well all of it did on cases that it was not learned from: each fold's by the others.

    A case is good if its Dice is at least `good_dice` and, where a head's circumference is known, that is right within `good_mm`.
    `good_flagged` and `bad_found` count every reason for a flag, and the cases that were tried. Calibration errors are those near the
    foreground, before and after the temperature; that, too, of other folds' cases.
    """

    correlation: RankCorrelation | None
    good_dice: float
    good_mm: float | None
    good: int
    bad: int
    good_flagged: Proportion | None
    bad_found: Proportion | None
    strange: int  # training cases that would be unfamiliar to the others
    intervals: tuple[IntervalReport, ...] = ()
    calibration_error: float | None = None
    calibration_error_after: float | None = None
