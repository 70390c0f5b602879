"""Out-of-fold predictions with their labels -> what the model's predictions are worth: expected Dice, review, intervals, familiar images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.inference.trust import PREDICTED, SHAPE, features_of, suspicions
from autoseg.metrics.conformal import coverage, cross_intervals, fit_interval
from autoseg.metrics.familiarity import facts_of_training, familiar_ranges, strange_training_cases
from autoseg.metrics.predicted_dice import agreement_with_real, cross_predicted_dice, fit_predicted_dice, why_not_trusted
from autoseg.metrics.review import GOOD_DICE, cross_review, fit_review, review_rates
from autoseg.records import (
    CaseScores,
    DicePredictor,
    Evidence,
    Fingerprint,
    IntervalReport,
    Measure,
    MeasurementInterval,
    Measurements,
    StructureEvidence,
    Trust,
    TrustReport,
)

USUAL_LOSS = 0.05  # of Dice, below the median, where even good masks do not reach 0.9
BLOCKS = 5
GOOD_MM = 10.0  # of a head's circumference
CIRCUMFERENCE = "HC"
WITH_INTERVAL = ("mm", "mm2", "ml", "percent")  # an angle has no relative error, and an age follows from a measure


@dataclass(frozen=True)
class Judged:
    """A case that no network of its fold had seen.

    `misfit` is how far its head is from an ellipse, None where the model has no head.
    """

    scores: CaseScores
    evidence: Evidence
    misfit: float | None
    fold: str


def calibrate(
    cases: Sequence[Judged],
    measured: Measurements | None,
    true: Measurements | None,
    fingerprint: Fingerprint,
    targets: Sequence[str],
    channels: Sequence[str],
) -> tuple[Trust, TrustReport]:
    """Learn the rules, and how well they do.

    Args:
        cases: out of fold.
        measured: on their masks; None where nothing is measured.
        true: on their labels.
        fingerprint: of the training data.
        targets: names of the structures that are learned.
        channels: of the images.
    """
    folds = _blocks(cases)
    predictors, crossed = _predictors(cases, targets, folds)
    expected = [_mean([values[place] for values in crossed.values()]) for place in range(len(cases))]
    real = [
        _mean([case.scores.structures[name].dice for name in targets if case.scores.structures[name].present]) for case in cases
    ]
    known = [place for place, value in enumerate(real) if value is not None]
    correlation = agreement_with_real([expected[place] for place in known], [real[place] or 0.0 for place in known])
    errors = _circumference_errors(cases, measured, true)
    limit = _good_dice([value for value in real if value is not None])
    good = [real[place] is None or (real[place] or 0.0) >= limit for place in range(len(cases))]
    good = [fine and (error is None or error <= GOOD_MM) for fine, error in zip(good, errors, strict=True)]
    scores = _suspicions(cases, crossed)
    off = why_not_trusted(correlation)
    fit = fit_review(scores, good) if off is None and scores else None
    rates = review_rates(cross_review(scores, good, folds), good) if fit is not None and fit.rule is not None else None
    facts = [facts_of_training(case, channels) for case in fingerprint.cases]
    difficulty = {case.scores.id: 1 - value for case, value in zip(cases, expected, strict=True) if value is not None}
    block_of = {case.scores.id: block for case, block in zip(cases, folds, strict=True)}
    intervals, reports = _intervals(_pairs(measured, true), block_of, difficulty if off is None else None)
    trust = Trust(
        predicted_dice=predictors,
        review=None if fit is None else fit.rule,
        review_off=off if fit is None else fit.reason,
        familiar=familiar_ranges(facts),
        intervals=intervals,
    )
    report = TrustReport(
        correlation=correlation,
        good_dice=limit,
        good_mm=None if all(error is None for error in errors) else GOOD_MM,
        good=sum(good),
        bad=len(good) - sum(good),
        good_flagged=None if rates is None else rates.good_flagged,
        bad_found=None if rates is None else rates.bad_found,
        strange=len(strange_training_cases(facts)),
        intervals=reports,
    )
    return trust, report


def _blocks(cases: Sequence[Judged]) -> list[str]:
    """Folds; of one fold alone, blocks of its subjects: what is learned of one must be tried on others."""
    folds = [case.fold for case in cases]
    if len(set(folds)) > 1:
        return folds
    subjects = {subject: place for place, subject in enumerate(sorted({case.scores.subject for case in cases}))}
    return [f"block {subjects[case.scores.subject] % BLOCKS}" for case in cases]


def _predictors(
    cases: Sequence[Judged], targets: Sequence[str], folds: Sequence[str]
) -> tuple[dict[str, DicePredictor], dict[str, list[float | None]]]:
    """By target the predictor of all cases, and for every case the Dice predicted by the other folds'."""
    predictors: dict[str, DicePredictor] = {}
    crossed: dict[str, list[float | None]] = {}
    for name in targets:
        present = [place for place, case in enumerate(cases) if case.scores.structures[name].present]
        dice = [cases[place].scores.structures[name].dice or 0.0 for place in present]
        figures = [
            features_of(name, cases[place].evidence.structures.get(name, NOTHING), cases[place].misfit) for place in present
        ]
        keys = dict.fromkeys(key for one in figures for key, value in one.items() if value is not None)
        features = {key: [one.get(key) for one in figures] for key in keys}
        model = fit_predicted_dice(features, dice)
        if model is None:
            continue
        predictors[name] = model
        values: list[float | None] = [None] * len(cases)
        for place, value in zip(present, cross_predicted_dice(features, dice, [folds[place] for place in present]), strict=True):
            values[place] = value
        crossed[name] = values
    return predictors, crossed


def _suspicions(cases: Sequence[Judged], crossed: Mapping[str, Sequence[float | None]]) -> dict[str, list[float | None]]:
    """Scores by name; those that no case has are left out."""
    found = []
    for place, case in enumerate(cases):
        predicted = {name: value for name, values in crossed.items() if (value := values[place]) is not None}
        found.append(suspicions(predicted, case.misfit))
    names = [
        name for name in (PREDICTED, SHAPE) if any(one[name] is not None and not math.isinf(one[name] or 0) for one in found)
    ]
    return {name: [one[name] for one in found] for name in names}


def _good_dice(real: Sequence[float]) -> float:
    """0.9, or a little below what is usual where masks are not that good."""
    return min(GOOD_DICE, float(np.median(real)) - USUAL_LOSS) if real else GOOD_DICE


def _circumference_errors(
    cases: Sequence[Judged], measured: Measurements | None, true: Measurements | None
) -> list[float | None]:
    """In mm, absolute; infinity where the head could not be measured; None where there is no truth."""
    pairs = [pair for pair in _pairs(measured, true) if pair.measure == CIRCUMFERENCE]
    errors = {pair.case: math.inf if pair.measured is None else abs(pair.measured - pair.true) for pair in pairs}
    return [errors.get(case.scores.id) for case in cases]


@dataclass(frozen=True)
class _Pair:
    """One measure of one case, on its mask (None: it could not be taken) and on its label."""

    case: str
    subject: str
    structure: str
    measure: str
    unit: str
    measured: float | None
    true: float


def _pairs(measured: Measurements | None, true: Measurements | None) -> list[_Pair]:
    if measured is None or true is None:
        return []
    masks = {case.id: case for case in measured.cases if case.status == "done"}
    pairs = []
    for case in true.cases:
        mask = masks.get(case.id)
        if mask is None or case.status != "done":
            continue
        for name, structure in case.structures.items():
            own = mask.structures.get(name)
            for key, truth in structure.measures.items():
                found: Measure | None = None if own is None else own.measures.get(key)
                if truth.value is not None and found is not None and truth.unit in WITH_INTERVAL:
                    pairs.append(_Pair(case.id, case.subject, name, key, truth.unit, found.value, truth.value))
    return pairs


def _intervals(
    pairs: Sequence[_Pair], block_of: Mapping[str, str], difficulty: Mapping[str, float] | None
) -> tuple[dict[str, dict[str, MeasurementInterval]], tuple[IntervalReport, ...]]:
    """Wider for harder cases where the predicted Dice tells which these are; else all alike."""
    grouped: dict[tuple[str, str, str], list[_Pair]] = {}
    for pair in pairs:
        if (
            pair.case in block_of
            and pair.measured is not None
            and pair.measured > 0
            and (difficulty is None or pair.case in difficulty)
        ):
            grouped.setdefault((pair.structure, pair.measure, pair.unit), []).append(pair)
    intervals: dict[str, dict[str, MeasurementInterval]] = {}
    reports = []
    for (structure, measure, unit), found in grouped.items():
        values, truth = [pair.measured or 0.0 for pair in found], [pair.true for pair in found]
        subjects, blocks = [pair.subject for pair in found], [block_of[pair.case] for pair in found]
        hard = None if difficulty is None else [difficulty[pair.case] for pair in found]
        fit = fit_interval(values, truth, subjects, difficulty=hard)
        crossed = cross_intervals(values, truth, subjects, blocks, difficulty=hard)
        widths = [high - low for low, high in (interval for interval in crossed if interval is not None)]
        if fit.model is not None:
            intervals.setdefault(structure, {})[measure] = fit.model
        reports.append(
            IntervalReport(
                structure=structure,
                measure=measure,
                coverage=coverage(crossed, truth, subjects),
                median_width=float(np.median(widths)) if widths else None,
                unit=unit,
                reason=fit.reason,
            )
        )
    return intervals, tuple(reports)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


NOTHING = StructureEvidence(soft_dice=None, mirror_dice=None, pixels=0.0)
