"""Scores of one case from its two label maps, and their summary over cases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from scipy.ndimage import find_objects

from autoseg.metrics.biometry import head_circumference_mm
from autoseg.metrics.overlap import Counts, accuracy, confusion, dice, iou, precision, recall, structure_counts
from autoseg.metrics.statistics import bootstrap_interval
from autoseg.metrics.structures import ScoredStructure
from autoseg.metrics.surface import assd_mm, diagonal_mm, hd95_mm, surface_distances
from autoseg.records import CaseScores, StructureScores, Summary

HEAD = "head"  # the structure whose circumference is measured, by its name in any case

Box = tuple[slice, ...]


def score_masks(
    reference: np.ndarray,
    predicted: np.ndarray,
    structures: Sequence[ScoredStructure],
    spacing_mm: Sequence[float] | None,
    *,
    ignore_value: int | None = None,
) -> dict[str, StructureScores]:
    """All figures of every structure; what each is where a structure is absent or missed stands in `StructureScores`.

    Pixels whose reference is `ignore_value` count nowhere: in both masks they are taken for outside.

    Args:
        reference: `(*spatial)` integers >= 0, the data set's internal values.
        predicted: `(*spatial)` integers >= 0, painted values.
        structures: which values belong together.
        spacing_mm: in the order of the axes; None leaves out everything in mm.
        ignore_value: internal value of the ignore label, if there is one.
    """
    table = confusion(reference, predicted)
    if ignore_value is not None and ignore_value < len(table):
        table[ignore_value] = 0
    boxes = find_objects(reference), find_objects(predicted)
    scores = {}
    for structure in structures:
        counts = structure_counts(table, structure.reference_values, structure.painted_values)
        distances: tuple[float | None, float | None] = (None, None)
        circumferences: tuple[float | None, float | None] = (None, None)
        if spacing_mm is not None and (counts.reference or counts.predicted):
            box = _union_box(boxes[0], structure.reference_values, boxes[1], structure.painted_values)
            masks = _masks(reference[box], predicted[box], structure, ignore_value)
            if counts.reference:
                distances = _distances_mm(masks, spacing_mm, reference.shape)
            if structure.name.casefold() == HEAD and reference.ndim == 2:
                circumferences = _circumferences_mm(masks, box, reference.shape, spacing_mm)
        scores[structure.name] = _structure_scores(counts, distances, circumferences)
    return scores


def summarise(cases: Sequence[CaseScores], names: Iterable[str], *, seed: int = 0) -> dict[str, Summary]:
    """One `Summary` per structure name. Means run over the cases where the structure is present.

    The error of the head circumference counts a head that was missed, or predicted too small to be measured, as 0 mm long:
    left out, it would make a model look better for missing heads.
    """
    return {name: _summary([case.structures[name] for case in cases], [case.subject for case in cases], seed) for name in names}


def mean_of(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are defined; None if none is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _structure_scores(
    counts: Counts, distances: tuple[float | None, float | None], circumferences: tuple[float | None, float | None]
) -> StructureScores:
    return StructureScores(
        present=counts.reference > 0,
        missed=counts.reference > 0 and counts.predicted == 0,
        false_alarm=counts.reference == 0 and counts.predicted > 0,
        reference_pixels=counts.reference,
        predicted_pixels=counts.predicted,
        dice=dice(counts),
        iou=iou(counts),
        accuracy=accuracy(counts),
        precision=precision(counts),
        recall=recall(counts),
        hd95_mm=distances[0],
        assd_mm=distances[1],
        circumference_reference_mm=circumferences[0],
        circumference_predicted_mm=circumferences[1],
    )


def _masks(
    reference: np.ndarray, predicted: np.ndarray, structure: ScoredStructure, ignore_value: int | None
) -> tuple[np.ndarray, np.ndarray]:
    inside, painted = np.isin(reference, list(structure.reference_values)), np.isin(predicted, list(structure.painted_values))
    if ignore_value is not None:
        painted &= reference != ignore_value
    return inside, painted


def _distances_mm(masks: tuple[np.ndarray, np.ndarray], spacing_mm: Sequence[float], shape: Sequence[int]) -> tuple[float, float]:
    """HD95 and ASSD of a structure that the reference has; missed, both are the image's diagonal."""
    distances = surface_distances(*masks, spacing_mm)
    if distances is None:
        return (diagonal_mm(shape, spacing_mm),) * 2
    return hd95_mm(distances), assd_mm(distances)


def _circumferences_mm(
    masks: tuple[np.ndarray, np.ndarray], box: Box, shape: Sequence[int], spacing_mm: Sequence[float]
) -> tuple[float | None, float | None]:
    """Of reference and prediction; on the whole image, since a head cut off by its border is measured otherwise than one that ends there."""
    measured = []
    for mask in masks:
        whole = np.zeros(shape, dtype=bool)
        whole[box] = mask
        measured.append(head_circumference_mm(whole, spacing_mm))
    return measured[0], measured[1]


def _union_box(
    reference_boxes: Sequence[Box | None],
    reference_values: Collection[int],
    painted_boxes: Sequence[Box | None],
    painted_values: Collection[int],
) -> Box:
    """The smallest box around all pixels of these values in either map; at least one of them occurs."""
    found = [
        box
        for boxes, values in ((reference_boxes, reference_values), (painted_boxes, painted_values))
        for value in values
        if 0 < value <= len(boxes) and (box := boxes[value - 1]) is not None
    ]
    return tuple(slice(min(part.start for part in parts), max(part.stop for part in parts)) for parts in zip(*found, strict=True))


def _summary(scores: Sequence[StructureScores], subjects: Sequence[str], seed: int) -> Summary:
    present = [(score, subject) for score, subject in zip(scores, subjects, strict=True) if score.present]
    found = [score for score, _ in present]
    absent = len(scores) - len(present)
    false_alarms = sum(score.false_alarm for score in scores)
    dices = [score.dice for score in found if score.dice is not None]
    return Summary(
        cases=len(scores),
        present=len(present),
        missed=sum(score.missed for score in found),
        absent=absent,
        false_alarms=false_alarms,
        false_alarm_rate=false_alarms / absent if absent else None,
        dice=mean_of(dices),
        dice_interval=bootstrap_interval(dices, [subject for _, subject in present], seed=seed),
        dice_median=float(np.median(dices)) if dices else None,
        iou=mean_of(score.iou for score in found),
        accuracy=mean_of(score.accuracy for score in found),
        precision=mean_of(score.precision for score in found),
        recall=mean_of(score.recall for score in found),
        hd95_mm=mean_of(score.hd95_mm for score in found),
        assd_mm=mean_of(score.assd_mm for score in found),
        without_mm=sum(score.hd95_mm is None for score in found),
        circumference_mae_mm=mean_of(
            abs((score.circumference_predicted_mm or 0.0) - score.circumference_reference_mm)
            for score in found
            if score.circumference_reference_mm is not None
        ),
    )
