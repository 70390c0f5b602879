"""Out-of-fold predictions with their labels -> what the model's predictions are worth: expected Dice, review, intervals, familiar images."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.inference.trust import PREDICTED, SHAPE, features_of, suspicions
from autoseg.metrics.conformal import coverage, cross_intervals, fit_interval
from autoseg.metrics.familiarity import facts_of_training, familiar_ranges, strange_training_cases
from autoseg.metrics.predicted_dice import agreement_with_real, fit_predicted_dice, predict_dice, why_not_trusted
from autoseg.metrics.review import GOOD_DICE, RATE, ReviewRates, cross_review, fit_review, review_rates
from autoseg.records import (
    CaseScores,
    DicePredictor,
    Evidence,
    Fingerprint,
    IntervalReport,
    Measure,
    MeasurementInterval,
    Measurements,
    ReviewRule,
    StructureEvidence,
    Trust,
    TrustReport,
)
from autoseg.stages.select.rule import agreement

USUAL_LOSS = 0.05  # of Dice, below the median, where even good masks do not reach 0.9
BLOCKS = 5
FEWEST_EMPTY, RIGHT_WHEN_EMPTY = (
    10,
    0.9,
)  # masks without anything from which they may be trusted, and the share that has to be right
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
    blocks = _blocks(cases)
    predictors, crossed = _predictors(cases, targets, blocks)
    expected = [_mean([values[place] for values in crossed.values()]) for place in range(len(cases))]
    real = [_real_dice(case.scores, targets) for case in cases]
    known = [place for place, value in enumerate(real) if value is not None]
    correlation = agreement_with_real([expected[place] for place in known], [real[place] or 0.0 for place in known])
    errors = _circumference_errors(cases, measured, true)
    limit = _good_dice([value for value in real if value is not None])
    good = [
        (dice is None or dice >= limit) and (error is None or error <= GOOD_MM) for dice, error in zip(real, errors, strict=True)
    ]
    facts = [facts_of_training(case, channels) for case in fingerprint.cases]
    strange = {fingerprint.cases[place].id for place in strange_training_cases(facts)}
    off = why_not_trusted(correlation)
    review = _review(cases, crossed, good, strange, blocks) if off is None else _Review(None, off, True)
    difficulty = {case.scores.id: 1 - value for case, value in zip(cases, expected, strict=True) if value is not None}
    block_of = {case.scores.id: block for case, block in zip(cases, blocks, strict=True)}
    intervals, reports = _intervals(_pairs(measured, true), block_of, difficulty if off is None else None)
    trust = Trust(
        predicted_dice=predictors,
        review=review.rule,
        review_off=review.off,
        empty_is_suspicious=review.empty_is_suspicious,
        familiar=familiar_ranges(facts),
        intervals=intervals,
    )
    report = TrustReport(
        correlation=correlation,
        good_dice=limit,
        good_mm=None if all(error is None for error in errors) else GOOD_MM,
        good=sum(good),
        bad=len(good) - sum(good),
        good_flagged=None if review.rates is None else review.rates.good_flagged,
        bad_found=None if review.rates is None else review.rates.bad_found,
        strange=len(strange),
        intervals=reports,
    )
    return trust, report


def _real_dice(scores: CaseScores, targets: Sequence[str]) -> float | None:
    """Mean over the structures that are there, or were found though they are not (0); None where there is neither."""
    figures = [scores.structures[name] for name in targets]
    return _mean([agreement(one) for one in figures if one.present or one.false_alarm])


@dataclass(frozen=True)
class _Review:
    """A rule or the sentence that tells why there is none, and how all flags together did out of fold."""

    rule: ReviewRule | None
    off: str | None
    empty_is_suspicious: bool
    rates: ReviewRates | None = None


def _review(
    cases: Sequence[Judged],
    crossed: Mapping[str, Sequence[float | None]],
    good: Sequence[bool],
    strange: Collection[str],
    blocks: Sequence[str],
) -> _Review:
    """What is certain is flagged in any case; the thresholds of suspicion take what that leaves of the rate."""
    empty = [not any(case.scores.structures[name].predicted_pixels for name in case.scores.structures) for case in cases]
    right_when_empty = [fine for fine, nothing in zip(good, empty, strict=True) if nothing]
    empty_is_suspicious = len(right_when_empty) < FEWEST_EMPTY or float(np.mean(right_when_empty)) < RIGHT_WHEN_EMPTY
    certain = [
        case.scores.id in strange or (empty_is_suspicious if nothing else case.misfit == math.inf)
        for case, nothing in zip(cases, empty, strict=True)
    ]
    n_good = max(1, sum(good))
    rate = RATE - sum(flag for flag, fine in zip(certain, good, strict=True) if fine) / n_good
    if rate <= 0:
        off = f"No mask is flagged for review: what is unlike the training data, or cannot be measured, is {RATE:.0%} of the good masks already."
        return _Review(None, off, empty_is_suspicious)
    tried = [place for place, nothing in enumerate(empty) if not nothing]
    scores = _suspicions([cases[place] for place in tried], crossed, tried)
    if not scores:
        return _Review(None, "No mask is flagged for review: no case tells how sure the networks are.", empty_is_suspicious)
    of_tried = [good[place] for place in tried]
    fit = fit_review(scores, of_tried, rate=rate)
    if fit.rule is None:
        return _Review(None, fit.reason, empty_is_suspicious)
    if not fit.rule.thresholds:
        return _Review(None, "No mask is flagged for review: no threshold tells good from bad masks.", empty_is_suspicious)
    flags = dict(zip(tried, cross_review(scores, of_tried, [blocks[place] for place in tried], rate=rate), strict=True))
    flagged = [True if sure else flags.get(place, False) for place, sure in enumerate(certain)]
    return _Review(fit.rule, None, empty_is_suspicious, review_rates(flagged, good))


def _blocks(cases: Sequence[Judged]) -> list[str]:
    """Folds; blocks of subjects where there is one fold, or a subject in several: what is learned of some must be tried on others."""
    folds = [case.fold for case in cases]
    of_subject: dict[str, set[str]] = {}
    for case in cases:
        of_subject.setdefault(case.scores.subject, set()).add(case.fold)
    if len(set(folds)) > 1 and all(len(found) == 1 for found in of_subject.values()):
        return folds
    place = {subject: number for number, subject in enumerate(sorted(of_subject))}
    return [f"block {place[case.scores.subject] % BLOCKS}" for case in cases]


def _predictors(
    cases: Sequence[Judged], targets: Sequence[str], blocks: Sequence[str]
) -> tuple[dict[str, DicePredictor], dict[str, list[float | None]]]:
    """By target the predictor of all cases, and for every case in which it was found the Dice that the other blocks' predict.

    Learned where the label has the structure, told wherever the networks found it, as it will be of new cases.
    """
    predictors: dict[str, DicePredictor] = {}
    crossed: dict[str, list[float | None]] = {}
    for name in targets:
        features = [features_of(name, case.evidence.structures.get(name, NOTHING), case.misfit) for case in cases]
        learning = [place for place, case in enumerate(cases) if case.scores.structures[name].present]
        model = _learned(cases, features, learning, name)
        if model is None:
            continue
        predictors[name] = model
        values: list[float | None] = [None] * len(cases)
        for block in dict.fromkeys(blocks):
            others = _learned(cases, features, [place for place in learning if blocks[place] != block], name)
            for place, own in enumerate(blocks):
                if own == block and others is not None:
                    values[place] = predict_dice(others, features[place])
        crossed[name] = values
    return predictors, crossed


def _learned(
    cases: Sequence[Judged], features: Sequence[Mapping[str, float | None]], places: Sequence[int], name: str
) -> DicePredictor | None:
    keys = dict.fromkeys(key for place in places for key, value in features[place].items() if value is not None)
    table = {key: [features[place].get(key) for place in places] for key in keys}
    return fit_predicted_dice(table, [cases[place].scores.structures[name].dice or 0.0 for place in places])


def _suspicions(
    cases: Sequence[Judged], crossed: Mapping[str, Sequence[float | None]], places: Sequence[int]
) -> dict[str, list[float | None]]:
    """Scores by name, of cases at these places; those that no case has are left out."""
    found = []
    for place, case in zip(places, cases, strict=True):
        predicted = {name: value for name, values in crossed.items() if (value := values[place]) is not None}
        found.append(suspicions(predicted, case.misfit))
    names = [name for name in (PREDICTED, SHAPE) if any(one[name] is not None for one in found)]
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
                if truth.value is not None and found is not None and found.unit == truth.unit and truth.unit in WITH_INTERVAL:
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
