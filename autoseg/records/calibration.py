"""What was learned from cases that no network had seen, in plain numbers: predicted Dice, whom to review, intervals, and what is familiar.

Each is a part of a record; the arithmetic stands in `metrics`: `predicted_dice`, `review`, `conformal`, `familiarity`, `proportion`.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from autoseg.records.base import Part


class Proportion(Part):
    """A share of cases with its exact 95 % interval; `count` is a fraction where several cases of a subject weigh together as one."""

    count: float
    total: float
    share: float
    low: float
    high: float


class RankCorrelation(Part):
    """Spearman's rank correlation with an approximate 95 % interval."""

    value: float
    low: float
    high: float
    cases: int


class DicePredictor(Part):
    """Predicted Dice: the logistic of `intercept + sum(weights * (logit(features) - means) / scales)`; no weight is negative.

    Features are named figures in [0, 1], the higher the better; their logits are taken after clipping to [clip, 1 - clip].
    """

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    clip: float = Field(gt=0, lt=0.5)
    cases: int

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if not len(self.features) == len(self.means) == len(self.scales) == len(self.weights):
            raise ValueError("features, means, scales and weights are as many as one another")
        if any(scale <= 0 for scale in self.scales):
            raise ValueError("scales are above 0")
        return self


class ReviewRule(Part):
    """A case is to be reviewed where any of its scores of suspicion lies above that score's threshold.

    Of new cases that are good, at most `rate` are flagged, on average over sets of calibration cases.
    """

    thresholds: dict[str, float]
    rate: float
    good_cases: int


class MeasurementInterval(Part):
    """From a measured value m to an interval: m + m * d * (low, high), where d is 1, or the case's difficulty + `smoothing`."""

    level: float = Field(gt=0, lt=1)
    low: float
    high: float
    smoothing: float | None = Field(gt=0)
    cases: int
    subjects: int

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("the lower end lies above the higher one")
        return self


class FamiliarRange(Part):
    """What one fact of an image was in the training data, and how far beyond it is still taken for familiar."""

    name: str  # as in a sentence: "spacing along y"
    unit: str
    seen: tuple[float, float]
    accepted: tuple[float, float]
