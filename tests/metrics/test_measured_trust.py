"""Intervals and flags in measures: the arithmetic by hand, and where there is nothing to tell."""

from __future__ import annotations

import pytest

from autoseg.metrics.measured_trust import with_trust
from autoseg.records import (
    Measure,
    MeasuredCase,
    MeasuredStructure,
    MeasurementInterval,
    Measurements,
    PredictedCase,
    Predictions,
)


def interval(smoothing: float | None = None) -> MeasurementInterval:
    return MeasurementInterval(level=0.95, low=-0.02, high=0.03, smoothing=smoothing, cases=50, subjects=50)


def told(model: MeasurementInterval, dice: dict[str, float], measure: Measure) -> MeasuredCase:
    case = PredictedCase(
        id="a", images=(), status="done", mask="a.png", predicted_dice=dice, review=True, review_reasons=("it is blurred",)
    )
    predictions = Predictions(
        run="r", configuration="2d", folds=("0",), device="cpu", intervals={"head": {"HC": model}}, targets=(), derived=(), regions=False,
        cases=(case,),
    )  # fmt: skip
    structures = {"head": MeasuredStructure(pixels=9, measures={"HC": measure, "OFD": Measure(value=90.0, unit="mm")})}
    measured = Measurements(
        masks="m", structures={}, dating="hadlock-1984",
        cases=(MeasuredCase(id="a", subject="a", mask="a.png", status="done", structures=structures),),
    )  # fmt: skip
    (found,) = with_trust(measured, predictions).cases
    return found


def test_an_interval_is_a_share_of_the_value() -> None:
    found = told(interval(), {}, Measure(value=200.0, unit="mm"))
    hc = found.structures["head"].measures["HC"]
    assert (hc.low, hc.high) == (pytest.approx(196), pytest.approx(206))
    assert found.structures["head"].measures["OFD"].low is None, "of a measure that was not calibrated"
    assert found.review is True and found.warnings == ("to review: it is blurred",)


def test_a_hard_case_has_a_wider_one() -> None:
    """Difficulty is 1 less the mean predicted Dice: 0.1, and 0.05 as smoothing; so 0.15 times the share."""
    hc = told(interval(0.05), {"head": 0.95, "LV": 0.85}, Measure(value=200.0, unit="mm")).structures["head"].measures["HC"]
    assert (hc.low, hc.high) == (pytest.approx(200 - 200 * 0.15 * 0.02), pytest.approx(200 + 200 * 0.15 * 0.03))


@pytest.mark.parametrize(
    "measure", [Measure(value=None, unit="mm", failure="there is no head in the mask"), Measure(value=200.0, unit="pixels")]
)
def test_what_was_not_measured_in_mm_gets_none(measure: Measure) -> None:
    assert told(interval(), {}, measure).structures["head"].measures["HC"] == measure


def test_without_a_predicted_dice_a_model_that_needs_one_tells_nothing() -> None:
    assert told(interval(0.05), {}, Measure(value=200.0, unit="mm")).structures["head"].measures["HC"].low is None
