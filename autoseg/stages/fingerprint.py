"""Dataset -> Fingerprint: one parallel pass over the cases with labels, then facts over the set.

Over the set every case counts the same, as in nnU-Net, which draws equally many foreground voxels from each (with
replacement). Here the mean and the deviation follow from the cases' exact ones, and the percentiles from samples without
replacement, weighted; so they do not depend on a draw beyond the percentiles of large cases.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from autoseg.errors import Fault
from autoseg.parallel import map_cases
from autoseg.processing.facts import MeasuredCase, Task, measure_case
from autoseg.records import CaseFacts, Dataset, Fingerprint, Intensities

VALUES_PER_CHANNEL = 2_000_000  # foreground values held for the set's percentiles: 8 MB per channel
SMALLEST_SAMPLE = 100
UNIT_FACTOR = 10.0  # a spacing or an intensity scale this far from the median looks like another unit
SHOWN_NAMES = 5


def fingerprint_dataset(
    dataset: Dataset, *, workers: int = 0, on_done: Callable[[int], None] | None = None
) -> tuple[Fingerprint | None, list[Fault]]:
    """Measure every case that has a label.

    Args:
        dataset: cases without a label are skipped.
        workers: processes; 0 measures in this one. Each holds one case at a time.
        on_done: called with the number of cases done so far.

    Returns:
        The fingerprint of the sound cases, None where there is none, and the faults of all cases, in the data set's order.

    Raises:
        CaseError: a worker died, or failed for a reason that lies not in the data.
    """
    labelled = [case for case in dataset.cases if case.label is not None]
    if not labelled:
        return None, [Fault("data set", f"none of the {len(dataset.cases)} cases has a label; add labels to learn from")]
    bare = dataset.model_copy(update={"cases": (), "notes": ()})  # what travels to a worker with every case
    size = max(SMALLEST_SAMPLE, VALUES_PER_CHANNEL // len(labelled))
    tasks = [Task(bare, case, size) for case in labelled]
    measured = list(map_cases(measure_case, tasks, name=lambda task: task.case.id, workers=workers, on_done=on_done))
    faults = [fault for case in measured for fault in case.faults]
    facts = tuple(case.facts for case in measured if case.facts is not None)
    if not facts:
        return None, faults
    kept = [math.prod(case.shape_after_crop) / math.prod(case.shape) for case in facts]
    fingerprint = Fingerprint(
        cases=facts,
        intensities=pooled_intensities(measured),
        median_relative_size_after_crop=float(np.median(kept)),
        duplicates=duplicates(facts),
        spacing_outliers=spacing_outliers(facts),
        notes=_notes(dataset, measured, facts),
    )
    return fingerprint, faults


def pooled_intensities(measured: Sequence[MeasuredCase]) -> tuple[Intensities, ...]:
    """Foreground intensities per channel over all cases, each case weighing the same; empty where no case has foreground."""
    present = [(case.sample, case.moments) for case in measured if case.sample is not None and case.moments is not None]
    if not present:
        return ()
    weights = np.concatenate([np.full(sample.shape[1], 1 / sample.shape[1]) for sample, _ in present])
    means = np.stack([moments.mean for _, moments in present])
    mean = means.mean(axis=0)
    variance = np.mean([moments.variance for _, moments in present], axis=0) + ((means - mean) ** 2).mean(axis=0)
    pooled = []
    for channel in range(len(mean)):
        values = np.concatenate([sample[channel] for sample, _ in present])
        low, median, high = _weighted_quantiles(values, weights, (0.005, 0.5, 0.995))
        pooled.append(
            Intensities(
                mean=float(mean[channel]),
                median=median,
                std=float(np.sqrt(variance[channel])),
                min=float(min(moments.minimum[channel] for _, moments in present)),
                max=float(max(moments.maximum[channel] for _, moments in present)),
                percentile_00_5=low,
                percentile_99_5=high,
            )
        )
    return tuple(pooled)


def duplicates(facts: Sequence[CaseFacts]) -> tuple[tuple[str, ...], ...]:
    """Groups of two or more cases whose images are equal to the last bit."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for case in facts:
        groups[case.content_hash].append(case.id)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def spacing_outliers(facts: Sequence[CaseFacts]) -> tuple[str, ...]:
    """Sentences about cases whose spacing is ten times the set's median on some axis, or a tenth of it."""
    known = [(case.id, case.spacing_mm) for case in facts if case.spacing_mm is not None]
    if not known:
        return ()
    median = np.median([spacing for _, spacing in known], axis=0)
    sentences = []
    for name, spacing in known:
        factors = np.asarray(spacing) / median
        largest = float(factors[int(np.argmax(np.abs(np.log(factors))))])
        if max(largest, 1 / largest) >= UNIT_FACTOR * (1 - 1e-9):
            relation = f"{largest:.3g} times" if largest > 1 else f"1/{1 / largest:.3g} of"
            sentences.append(
                f"{name}: spacing {_tuple(spacing)} mm is {relation} the median {_tuple(median)} mm; a unit mistake?"
            )
    return tuple(sentences)


def _weighted_quantiles(values: np.ndarray, weights: np.ndarray, at: Sequence[float]) -> tuple[float, ...]:
    """Quantiles of values with weights, linear between the mid-points of the weights; equal weights give Hazen's rule."""
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    middle = (cumulated - weights[order] / 2) / cumulated[-1]
    return tuple(float(value) for value in np.interp(at, middle, values[order]))


def _notes(dataset: Dataset, measured: Sequence[MeasuredCase], facts: Sequence[CaseFacts]) -> tuple[str, ...]:
    notes = []
    unknown = [case.id for case in facts if case.spacing_mm is None]
    if len(unknown) == len(facts):
        notes.append(
            "the spacing of no case is known: nothing is rescaled to mm, and there are no mm results; give --spacing CSV|MM"
        )
    elif unknown:
        notes.append(f"{_cases(unknown)}: spacing unknown; not rescaled, and left out of mm results")
    for structure in (*dataset.targets, *dataset.derived):
        if not any(case.structures[structure.name].pixels for case in facts):
            notes.append(f"{structure.name} is in no label; it cannot be learned or scored")
    if empty := [case.id for case in facts if case.intensities is None]:
        notes.append(f"{_cases(empty)}: no foreground in the label")
    if displaced := [case.id for case in measured if case.displaced]:
        notes.append(f"{_cases(displaced)}: image and label differ in origin or direction; their arrays are taken to correspond")
    return (*notes, *_intensity_notes(dataset, facts))


def _intensity_notes(dataset: Dataset, facts: Sequence[CaseFacts]) -> list[str]:
    """Cases whose brightest foreground lies a factor 10 from the set's, channel by channel."""
    notes = []
    present = [(case.id, case.intensities) for case in facts if case.intensities is not None]
    for number, channel in enumerate(dataset.channels):
        bright = np.array([intensities[number].percentile_99_5 for _, intensities in present])
        median = float(np.median(bright)) if len(bright) else 0.0
        if median <= 0:
            continue
        far = (bright >= UNIT_FACTOR * median) | (bright <= median / UNIT_FACTOR)
        if far.any():
            names = [name for (name, _), is_far in zip(present, far, strict=True) if is_far]
            notes.append(
                f"{_cases(names)}: {channel} intensities a factor 10 or more from the set's ({median:.4g} at percentile 99.5)"
            )
    return notes


def _cases(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN_NAMES]) + (f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else "")
    return f"{len(names)} case{'s' if len(names) > 1 else ''} ({shown})"


def _tuple(numbers: Sequence[float] | np.ndarray) -> str:
    return f"({', '.join(f'{number:.6g}' for number in numbers)})"
