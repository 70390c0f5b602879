"""Predicted masks against reference labels: `scores.json`, a CSV, and nnU-Net's `summary.json`."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from autoseg.errors import DataError, Fault
from autoseg.metrics.nnunet_summary import nnunet_keys, nnunet_summary
from autoseg.metrics.scoring import mean_of, score_masks, summarise
from autoseg.metrics.structures import ScoredStructure, match_structures
from autoseg.metrics.surface import TOLERANCE_MM
from autoseg.parallel import map_cases
from autoseg.processing.cases import grid_faults, load_labels
from autoseg.records import Case, CaseScores, Dataset, PredictedCase, Predictions, Scores, Spacing, write_text
from autoseg.volume.files import read, read_header
from autoseg.volume.geometry import Geometry

CSV_HEADER = (
    "case",
    "subject",
    "structure",
    "present",
    "missed",
    "false_alarm",
    "reference_pixels",
    "predicted_pixels",
    "dice",
    "iou",
    "accuracy",
    "precision",
    "recall",
    "hd95_mm",
    "assd_mm",
    "circumference_reference_mm",
    "circumference_predicted_mm",
    "hd_mm",  # from here on later than the others, so that scripts which count columns find them
    "surface_dice",
    "reference_size",
    "predicted_size",
    "size_error",
    "relative_size_error",
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Pair:
    """A reference case and what was predicted for it."""

    case: Case
    mask: str
    predicted_spacing_mm: Spacing | None


def evaluate(
    dataset: Dataset,
    predictions: Predictions,
    folder: Path,
    *,
    labels_name: str,
    tolerance_mm: float = TOLERANCE_MM,
    workers: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> Scores:
    """Score every predicted mask that has a reference, per case and structure and over the set.

    Cases are matched by their id. Reference cases without a mask (failed, or never predicted) are listed as `missing`; masks without a
    reference are left out, which is logged. Millimetres come from the data set (its table, or the image's own file), else from what
    the prediction was told.

    Args:
        dataset: the reference; only its labelled cases count.
        predictions: what was predicted, and what the values in the masks mean.
        folder: where the masks lie.
        labels_name: what the scores call the reference, its path usually.
        tolerance_mm: of the surface Dice.
        workers: processes; 0 runs in this one.
        on_done: called with the number of cases done so far.

    Raises:
        DataError: the structures differ, no case has both, or masks do not fit their references; every such case is named. Or the
            tolerance is none.
    """
    if not 0 <= tolerance_mm < float("inf"):
        raise DataError(f"the tolerance of the surface Dice is {tolerance_mm:g} mm; expected 0 mm or more")
    structures = match_structures(dataset, predictions)
    pairs, missing = pair_cases(dataset, predictions)
    score = partial(
        _score_case,
        dataset=dataset.model_copy(update={"cases": ()}),  # sent along with every case, so it must stay small
        folder=folder,
        structures=structures,
        declared=frozenset(target.output_value for target in predictions.targets),
        tolerance_mm=tolerance_mm,
    )
    cases: list[CaseScores] = []
    faults: list[Fault] = []
    for result in map_cases(score, pairs, name=lambda pair: pair.case.id, workers=workers, on_done=on_done):
        if isinstance(result, CaseScores):
            cases.append(result)
        else:
            faults.extend(result)
    if faults:
        raise DataError(faults)
    summary = summarise(cases, [structure.name for structure in structures])
    return Scores(
        labels=labels_name,
        predictions=str(folder),
        mean_dice=mean_of(summary[structure.name].dice for structure in structures if structure.target),
        cases=tuple(cases),
        summary=summary,
        missing=missing,
        tolerance_mm=tolerance_mm,
        size_unit="mm2" if dataset.rank == 2 else "ml",
    )


def pair_cases(dataset: Dataset, predictions: Predictions) -> tuple[list[_Pair], tuple[str, ...]]:
    """Labelled cases with their masks, in the data set's order, and the ids of labelled cases that have none.

    Raises:
        DataError: no case has both.
    """
    masks = {case.id: case for case in predictions.cases if _usable(case)}
    labelled = [case for case in dataset.cases if case.label is not None]
    pairs = [_Pair(case, found.mask or "", found.spacing_mm) for case in labelled if (found := masks.get(case.id))]
    if not pairs:
        raise DataError(
            f"no predicted case has a reference of its name: {len(masks)} masks ({_some(masks)}), "
            f"{len(labelled)} labelled cases ({_some([case.id for case in labelled])}); evaluate against the labels of the same images"
        )
    paired = {pair.case.id for pair in pairs}
    if without := sorted(set(masks) - paired):
        log.info("%d masks have no reference and are not scored: %s", len(without), _some(without))
    return pairs, tuple(case.id for case in labelled if case.id not in paired)


def save_nnunet_summary(scores: Scores, dataset: Dataset, predictions: Predictions, folder: Path, path: Path) -> None:
    """What nnU-Net would have written about these masks, written atomically; see `metrics.nnunet_summary`.

    Args:
        scores: what `evaluate` returned for the three arguments that follow.
        dataset: the reference.
        predictions: what was predicted.
        folder: where the masks lie.
        path: file to write.
    """
    labels = {case.id: str(dataset.path(case.label)) for case in dataset.cases if case.label is not None}
    masks = {case.id: str(folder / case.mask) for case in predictions.cases if case.mask is not None}
    files = {case.id: (masks[case.id], labels[case.id]) for case in scores.cases}
    write_text(path, nnunet_summary(scores.cases, nnunet_keys(match_structures(dataset, predictions), dataset), files))


def save_csv(scores: Scores, path: Path) -> None:
    """One row per case and structure, written atomically; an empty cell is a figure that is not defined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for case in scores.cases:
        for name, figures in case.structures.items():
            values = figures.model_dump()
            writer.writerow([case.id, case.subject, name, *(_cell(values[column]) for column in CSV_HEADER[3:])])
    write_text(path, text.getvalue())


def _score_case(
    pair: _Pair,
    *,
    dataset: Dataset,
    folder: Path,
    structures: Sequence[ScoredStructure],
    declared: frozenset[int],
    tolerance_mm: float,
) -> CaseScores | tuple[Fault, ...]:
    case = pair.case
    try:
        reference = load_labels(dataset, case)
        own = case.spacing_mm or _file_spacing_mm(dataset, case)
        spacing = own or pair.predicted_spacing_mm
        mask = read(folder / pair.mask)
    except DataError as error:
        return tuple(Fault(case.id, fault.message if fault.case == case.id else str(fault)) for fault in error.faults)
    predicted = mask.array[0]
    # where a table overrules the image's file, the mask may hold either spacing, and both are right
    mask_geometry = mask.geometry.with_spacing(None) if case.spacing_mm else mask.geometry
    image_geometry = Geometry.plain(reference.ndim, spacing)
    faults = grid_faults(case.id, "mask", mask.shape, mask_geometry, "reference", reference.shape, image_geometry)
    if own and pair.predicted_spacing_mm and not np.allclose(own, pair.predicted_spacing_mm, rtol=1e-3, atol=0):
        message = f"predicted with a spacing of {pair.predicted_spacing_mm} mm, the data set says {own} mm; predict it again"
        faults.append(Fault(case.id, message))
    if unknown := _undeclared(predicted, declared):
        message = f"the mask holds {', '.join(unknown)}, which the model does not paint; predict this case again"
        faults.append(Fault(case.id, message))
    if faults:
        return tuple(faults)
    scores = score_masks(reference, predicted, structures, spacing, ignore_value=dataset.ignore_value, tolerance_mm=tolerance_mm)
    return CaseScores(id=case.id, subject=case.subject, structures=scores)


def _file_spacing_mm(dataset: Dataset, case: Case) -> tuple[float, ...] | None:
    """Of the image, which is the grid that masks lie on; None where the file has none that can be trusted."""
    file = next(iter(case.images), case.label)
    return None if file is None else read_header(dataset.path(file), dataset.trust_file_spacing).spacing_mm


def _undeclared(predicted: np.ndarray, declared: frozenset[int]) -> list[str]:
    """Values other than background that are not `declared`, with how often they occur."""
    if not np.isin(predicted, [0, *declared]).all():
        values, pixels = np.unique(predicted, return_counts=True)
        return [f"{value:g} ({count} pixels)" for value, count in zip(values, pixels, strict=True) if value not in declared | {0}]
    return []


def _usable(case: PredictedCase) -> bool:
    return case.mask is not None and case.status != "failed"


def _cell(value: float | bool | None) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "") if listed else "none"
