"""Measures of predicted masks, with what the model knows about their worth: 95 % intervals, and which cases to look at."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from autoseg.metrics.conformal import interval_of
from autoseg.records import (
    ELLIPSE_TOLD,
    Measure,
    MeasuredCase,
    MeasuredStructure,
    MeasurementInterval,
    Measurements,
    PredictedCase,
    Predictions,
)


def with_trust(measured: Measurements, predictions: Predictions, without: Collection[str] = ()) -> Measurements:
    """Fill in the ends of intervals and the flags for review, where the model was calibrated; else nothing changes.

    Args:
        measured: on the masks of these predictions.
        predictions: with the model's intervals, and what was noted of each case.
        without: cases whose masks are no longer those that were predicted.
    """
    by_id = {case.id: case for case in predictions.cases if case.id not in without}
    return measured.model_copy(update={"cases": tuple(_case(case, by_id.get(case.id), predictions) for case in measured.cases)})


def _case(case: MeasuredCase, predicted: PredictedCase | None, predictions: Predictions) -> MeasuredCase:
    if predicted is None or case.status != "done":
        return case
    difficulty = 1 - float(np.mean(list(predicted.predicted_dice.values()))) if predicted.predicted_dice else None
    structures = {
        name: _structure(structure, predictions.intervals.get(name, {}), difficulty)
        for name, structure in case.structures.items()
    }
    doubts = predicted.evidence.doubts if predicted.evidence is not None and _shows_ellipses(predictions) else ()
    prefix = "to review" if predicted.review else "unlike the training data"
    warnings = (
        *case.warnings,
        *(f"{prefix}: {reason}" for reason in predicted.review_reasons),
        *(f"before the ellipse took its place, {doubt}" for doubt in doubts),
    )
    return case.model_copy(update={"structures": structures, "review": predicted.review, "warnings": warnings})


def _shows_ellipses(predictions: Predictions) -> bool:
    """Whether masks are ellipses, of which a measurement can no longer tell what the networks' outline was like."""
    return any(step.endswith(ELLIPSE_TOLD) for step in predictions.postprocessing)


def _structure(
    structure: MeasuredStructure, intervals: dict[str, MeasurementInterval], difficulty: float | None
) -> MeasuredStructure:
    measures = {
        key: _measure(measure, intervals[key], difficulty) if key in intervals else measure
        for key, measure in structure.measures.items()
    }
    return structure.model_copy(update={"measures": measures})


def _measure(measure: Measure, model: MeasurementInterval, difficulty: float | None) -> Measure:
    if measure.value is None or measure.unit == "pixels":
        return measure
    interval = interval_of(model, measure.value, difficulty)
    return measure if interval is None else measure.model_copy(update={"low": interval[0], "high": interval[1]})
