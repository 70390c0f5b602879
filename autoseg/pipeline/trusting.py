"""Learn from out-of-fold predictions what the model's predictions are worth."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from autoseg.inference.export import PROBABILITIES
from autoseg.inference.trust import misfit_of
from autoseg.metrics.gestation import DEFAULT_DATING
from autoseg.metrics.temperature import PixelSample, calibration_error, draw_pixels, fit_temperature
from autoseg.parallel import evenly
from autoseg.pipeline.cross_validation import CrossValidation
from autoseg.pipeline.measuring import MeasureOptions, labels_of, masks_of
from autoseg.processing.cases import load_labels
from autoseg.records import InferenceProfile, Plan, Predictions, Scores, Trust, TrustReport
from autoseg.stages.measure import measure_masks
from autoseg.stages.select.calibrate import Judged, calibrate

SAMPLED_CASES = 40  # for the temperature: it is one number
MOST_VALUES = 2**28  # pixels times outputs of a case that are held at once: half a gigabyte


def learn_trust(
    folds: CrossValidation,
    predictions: Predictions,
    scores: Scores,
    masks_folder: Path,
    configurations: Sequence[str],
    profile: InferenceProfile,
    *,
    workers: int,
) -> tuple[Trust, TrustReport]:
    """From out-of-fold masks as they would be predicted, and from the labels.

    Args:
        folds: of the run.
        predictions: of the out-of-fold cases, with evidence.
        scores: of these masks.
        masks_folder: where they lie.
        configurations: that made them.
        profile: with which.
        workers: processes that measure.
    """
    plan, progress = folds.plan, folds.progress
    done = {case.id: case for case in predictions.cases if case.status == "done" and case.evidence is not None}
    dataset = folds.dataset.model_copy(update={"cases": tuple(case for case in folds.dataset.cases if case.id in done)})
    subjects = {case.id: case.subject for case in dataset.cases}
    progress.stage("measuring masks", len(done))
    masks = masks_of(predictions, masks_folder, MeasureOptions())
    masks = replace(masks, masks=tuple(replace(item, subject=subjects[item.id]) for item in masks.masks if item.id in done))
    measured = measure_masks(masks, dating=DEFAULT_DATING, workers=workers, on_done=progress.advance)
    progress.stage("measuring labels", len(done))
    true = measure_masks(labels_of(dataset), dating=DEFAULT_DATING, workers=workers, on_done=progress.advance)
    scored = {case.id: case for case in scores.cases}
    cases = [done[id] for id in scored if id in done]
    judged = [
        Judged(scored[case.id], case.evidence, misfit_of(case.evidence), folds.owner(configurations[0], case.id))
        for case in cases
        if case.evidence is not None
    ]
    names = [target.name for target in plan.targets]
    fingerprint, held_out = folds.folder.fingerprint(), set(folds.splits.held_out)
    seen = tuple(case for case in fingerprint.cases if case.id not in held_out)  # what is held out is to be new
    fingerprint = fingerprint.model_copy(update={"cases": seen})
    trust, report = calibrate(judged, measured, true, fingerprint, names, plan.channels)
    if len(configurations) > 1:
        return trust, report
    shapes = {id: case.evidence.shape for id, case in done.items() if case.evidence is not None}
    samples = _pixels(folds, configurations[0], profile, shapes)
    if not samples:
        return trust, report
    temperature = fit_temperature(PixelSample.joined([sample for _, sample in samples]))
    before, after = _calibration_errors(samples)
    trust = trust.model_copy(update={"temperature": round(temperature, 4)})
    return trust, report.model_copy(update={"calibration_error": before, "calibration_error_after": after})


def _calibration_errors(samples: Sequence[tuple[str, PixelSample]]) -> tuple[float | None, float | None]:
    """Without, and with the temperature of the other half of the subjects: means over the two halves."""
    names = list(dict.fromkeys(name for name, _ in samples))
    halves = [[sample for name, sample in samples if names.index(name) % 2 == half] for half in (0, 1)]
    if not all(halves):
        return None, None
    joined = [PixelSample.joined(half) for half in halves]
    before = [calibration_error(half) for half in joined]
    after = [calibration_error(half, fit_temperature(other)) for half, other in zip(joined, joined[::-1], strict=True)]
    return _mean(before), _mean(after)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _pixels(
    folds: CrossValidation, configuration: str, profile: InferenceProfile, shapes: Mapping[str, Sequence[int]]
) -> list[tuple[str, PixelSample]]:
    """Of some cases, evenly drawn, with their subjects; they are predicted once more with their probabilities. Very large ones are passed over.

    `shapes` are those of the images.
    """
    every = [id for id in folds.cases([configuration]) if id in shapes and _values(folds.plan, shapes[id]) <= MOST_VALUES]
    chosen = evenly(every, SAMPLED_CASES)
    by_id = {case.id: case for case in folds.dataset.cases}
    samples = []
    with tempfile.TemporaryDirectory(prefix=".temperature-", dir=folds.folder.root) as place:
        predictions, out = folds.predict(configuration, profile, ["probabilities"], only=chosen, out=Path(place))
        for number, case in enumerate(predictions.cases):
            if case.probabilities is None:
                continue
            with np.load(out / case.probabilities) as content:
                probabilities = content[PROBABILITIES]
            sample = _drawn(probabilities, load_labels(folds.dataset, by_id[case.id]), folds, seed=number)
            samples.append((by_id[case.id].subject, sample))
    return samples


def _values(plan: Plan, shape: Sequence[int]) -> int:
    return prod(shape) * (len(plan.targets) + 1)


def _drawn(probabilities: np.ndarray, labels: np.ndarray, folds: CrossValidation, seed: int) -> PixelSample:
    ignored = folds.dataset.ignore_value
    valid = None if ignored is None else labels != ignored
    if folds.plan.regions:
        inside = np.stack([np.isin(labels, target.values) for target in folds.plan.targets])
        return draw_pixels(probabilities, inside, valid=valid, seed=seed)
    return draw_pixels(
        probabilities, np.where(labels == ignored, 0, labels) if ignored is not None else labels, valid=valid, seed=seed
    )
