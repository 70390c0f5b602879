"""Scores of one case from its two label maps, and their summary over cases.

Definitions, and what each figure is where a mask is empty, stand in docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects

from autoseg.metrics.biometry import HEAD, fitted_circumference_mm
from autoseg.metrics.overlap import (
    Counts,
    accuracy,
    confusion,
    dice,
    iou,
    pixel_size,
    precision,
    recall,
    relative_size_error,
    structure_counts,
)
from autoseg.metrics.statistics import Interval, bootstrap_intervals
from autoseg.metrics.structures import ScoredStructure
from autoseg.metrics.surface import TOLERANCE_MM, assd_mm, diagonal_mm, hd95_mm, hd_mm, surface_dice, surface_distances
from autoseg.records import CaseScores, StructureScores, Summary

Box = tuple[slice, ...]


@dataclass(frozen=True)
class SurfaceFigures:
    """What is read from the distances between two surfaces; None where they are not defined, or the spacing is unknown."""

    hd_mm: float | None = None
    hd95_mm: float | None = None
    assd_mm: float | None = None
    surface_dice: float | None = None


def circumference_error_mm(score: StructureScores) -> float | None:
    """Absolute error of the circumference; a head that was missed, or has no ellipse (see `fitted_circumference_mm`), counts as 0 mm long.

    Left out, it would make a model look better for missing heads. What `measure` refuses to tell for other reasons, such as a second
    piece, counts with the ellipse of its largest piece: else a small flaw of a mask would weigh as much as a head that was missed.
    """
    if score.circumference_reference_mm is None:
        return None
    return abs((score.circumference_predicted_mm or 0.0) - score.circumference_reference_mm)


# Every figure that has a mean over the cases where the structure is present, by its name in `Summary`.
FIGURES: Mapping[str, Callable[[StructureScores], float | None]] = {
    "dice": lambda score: score.dice,
    "iou": lambda score: score.iou,
    "accuracy": lambda score: score.accuracy,
    "precision": lambda score: score.precision,
    "recall": lambda score: score.recall,
    "hd_mm": lambda score: score.hd_mm,
    "hd95_mm": lambda score: score.hd95_mm,
    "assd_mm": lambda score: score.assd_mm,
    "surface_dice": lambda score: score.surface_dice,
    "reference_size": lambda score: score.reference_size,
    "predicted_size": lambda score: score.predicted_size,
    "size_error": lambda score: score.size_error,
    "absolute_size_error": lambda score: None if score.size_error is None else abs(score.size_error),
    "relative_size_error": lambda score: score.relative_size_error,
    "absolute_relative_size_error": lambda score: None if score.relative_size_error is None else abs(score.relative_size_error),
    "circumference_mae_mm": circumference_error_mm,
}


def score_masks(
    reference: np.ndarray,
    predicted: np.ndarray,
    structures: Sequence[ScoredStructure],
    spacing_mm: Sequence[float] | None,
    *,
    ignore_value: int | None = None,
    tolerance_mm: float = TOLERANCE_MM,
) -> dict[str, StructureScores]:
    """All figures of every structure.

    Pixels whose reference is `ignore_value` count nowhere: in both masks they are taken for outside.

    Args:
        reference: `(*spatial)` integers >= 0, the data set's internal values.
        predicted: `(*spatial)` integers >= 0, painted values.
        structures: which values belong together.
        spacing_mm: in the order of the axes; None leaves out everything in mm.
        ignore_value: internal value of the ignore label, if there is one.
        tolerance_mm: of the surface Dice.
    """
    table = confusion(reference, predicted)
    if ignore_value is not None and ignore_value < len(table):
        table[ignore_value] = 0
    boxes = find_objects(reference), find_objects(predicted)
    scores = {}
    for structure in structures:
        counts = structure_counts(table, structure.reference_values, structure.painted_values)
        surface = SurfaceFigures()
        circumferences: tuple[float | None, float | None] = (None, None)
        if spacing_mm is not None and (counts.reference or counts.predicted):
            box = _union_box(boxes[0], structure.reference_values, boxes[1], structure.painted_values)
            masks = _masks(reference[box], predicted[box], structure, ignore_value)
            if counts.reference:
                surface = _surface_figures(masks, spacing_mm, reference.shape, tolerance_mm)
            if structure.name.casefold() == HEAD and reference.ndim == 2:
                circumferences = _circumferences_mm(masks, box, reference.shape, spacing_mm)
        scores[structure.name] = _structure_scores(counts, surface, spacing_mm, circumferences)
    return scores


def summarise(cases: Sequence[CaseScores], names: Iterable[str], *, seed: int = 0) -> dict[str, Summary]:
    """One `Summary` per structure name. Means run over the cases where the structure is present, but for the rate of false alarms."""
    names = list(names)
    columns: dict[tuple[str, str], tuple[list[float], list[str]]] = {}
    for name in names:
        scores = [(case.structures[name], case.subject) for case in cases]
        for figure, value_of in FIGURES.items():
            columns[name, figure] = _column((value_of(score) if score.present else None, subject) for score, subject in scores)
        columns[name, "false_alarm_rate"] = _column(
            (None if score.present else float(score.false_alarm), subject) for score, subject in scores
        )
    intervals = dict(zip(columns, bootstrap_intervals(list(columns.values()), seed=seed), strict=True))
    found = {}
    for name in names:
        values = {figure: column for (owner, figure), (column, _) in columns.items() if owner == name}
        ends = {figure: interval for (owner, figure), interval in intervals.items() if owner == name and interval is not None}
        found[name] = _summary([case.structures[name] for case in cases], values, ends)
    return found


def mean_of(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are defined; None if none is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _column(values: Iterable[tuple[float | None, str]]) -> tuple[list[float], list[str]]:
    """The values that are defined, and their subjects."""
    defined = [(value, subject) for value, subject in values if value is not None]
    return [value for value, _ in defined], [subject for _, subject in defined]


def _structure_scores(
    counts: Counts,
    surface: SurfaceFigures,
    spacing_mm: Sequence[float] | None,
    circumferences: tuple[float | None, float | None],
) -> StructureScores:
    size = None if spacing_mm is None else pixel_size(spacing_mm)
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
        hd95_mm=surface.hd95_mm,
        assd_mm=surface.assd_mm,
        tp=counts.tp,
        fp=counts.fp,
        fn=counts.fn,
        tn=counts.tn,
        hd_mm=surface.hd_mm,
        surface_dice=surface.surface_dice,
        reference_size=None if size is None else counts.reference * size,
        predicted_size=None if size is None else counts.predicted * size,
        size_error=(counts.predicted - counts.reference) * size if size is not None and counts.reference else None,
        relative_size_error=relative_size_error(counts),
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


def _surface_figures(
    masks: tuple[np.ndarray, np.ndarray], spacing_mm: Sequence[float], shape: Sequence[int], tolerance_mm: float
) -> SurfaceFigures:
    """Of a structure that the reference has; missed, every distance is the image's diagonal."""
    distances = surface_distances(*masks, spacing_mm)
    if distances is None:
        diagonal = diagonal_mm(shape, spacing_mm)
        return SurfaceFigures(hd_mm=diagonal, hd95_mm=diagonal, assd_mm=diagonal, surface_dice=0.0)
    return SurfaceFigures(hd_mm(distances), hd95_mm(distances), assd_mm(distances), surface_dice(distances, tolerance_mm))


def _circumferences_mm(
    masks: tuple[np.ndarray, np.ndarray], box: Box, shape: Sequence[int], spacing_mm: Sequence[float]
) -> tuple[float | None, float | None]:
    """Of reference and prediction; on the whole image, since a head cut off by its border is measured otherwise than one that ends there."""
    measured = []
    for mask in masks:
        whole = np.zeros(shape, dtype=bool)
        whole[box] = mask
        measured.append(fitted_circumference_mm(whole, spacing_mm))
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


def _summary(
    scores: Sequence[StructureScores], values: Mapping[str, Sequence[float]], intervals: Mapping[str, Interval]
) -> Summary:
    """Of one structure, from the defined values of its figures and the intervals of their means."""
    found = [score for score in scores if score.present]
    absent = len(scores) - len(found)
    means = {figure: mean_of(column) for figure, column in values.items()}
    return Summary(
        cases=len(scores),
        present=len(found),
        missed=sum(score.missed for score in found),
        absent=absent,
        false_alarms=sum(score.false_alarm for score in scores),
        dice_interval=intervals.get("dice"),
        dice_median=float(np.median(values["dice"])) if values["dice"] else None,
        without_mm=sum(score.hd95_mm is None for score in found),
        intervals={figure: interval for figure, interval in intervals.items() if figure != "dice"},
        **means,
    )
