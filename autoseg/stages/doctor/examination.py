"""Labels against out-of-fold predictions: which labels to look at first, and why. Nothing of the data set is changed.

Probabilities are read class by class, so that what is in memory of a case is a few volumes, whatever the number of classes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from autoseg.errors import DataError
from autoseg.inference.export import painted_targets
from autoseg.inference.merging import mean_probabilities
from autoseg.metrics.label_findings import (
    LabelledCase,
    exchanged,
    nothing_labelled,
    of_another_image,
    on_one_side,
    parts,
    shifted,
)
from autoseg.metrics.label_forms import Form, form_of, unusual_forms
from autoseg.metrics.label_quality import Disagreement, Softmin, disagreement
from autoseg.metrics.label_ranking import Judged, hardly_found, suspicion, suspicions
from autoseg.metrics.structures import ScoredStructure, match_structures
from autoseg.parallel import map_cases
from autoseg.processing.cases import load_labels
from autoseg.records import Case, CaseDiagnosis, Dataset, Finding, NotJudged, PredictedCase, Predictions, StructureDiagnosis
from autoseg.volume.files import read

FEW_CASES = 20


@dataclass(frozen=True)
class Examined:
    """What one case told by itself."""

    softmin: float
    structures: Mapping[str, Disagreement]
    forms: Mapping[str, Form]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Examinations:
    """Cases in the data set's order, what each told, and those that could not be judged."""

    cases: tuple[Case, ...]
    predicted: tuple[PredictedCase, ...]
    examined: tuple[Examined, ...]
    not_judged: tuple[NotJudged, ...]


def examine(
    dataset: Dataset,
    predictions: Predictions,
    folder: Path,
    *,
    workers: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> Examinations:
    """Compare every label with mask and probabilities of the networks that had not seen it.

    Args:
        dataset: that was trained on.
        predictions: of its cases, with probabilities.
        folder: where they lie.
        workers: processes.
        on_done: called with the number of cases done so far.
    """
    by_id = {case.id: case for case in predictions.cases}
    obstacles = {case.id: _obstacle(case, by_id.get(case.id)) for case in dataset.cases}
    pairs = [(case, by_id[case.id]) for case in dataset.cases if obstacles[case.id] is None]
    function = partial(
        _examined,
        dataset=dataset.model_copy(update={"cases": ()}),  # sent along with every case, so it must stay small
        predictions=predictions.model_copy(update={"cases": ()}),
        folder=folder,
    )
    results = list(map_cases(function, pairs, name=lambda pair: pair[0].id, workers=workers, on_done=on_done))
    examined = []
    for (case, predicted), result in zip(pairs, results, strict=True):
        if isinstance(result, Examined):
            examined.append((case, predicted, result))
        else:
            obstacles[case.id] = result
    cases, told, found = zip(*examined, strict=True) if examined else ((), (), ())
    return Examinations(cases, told, found, tuple(obstacle for obstacle in obstacles.values() if obstacle is not None))


def ranked(dataset: Dataset, examinations: Examinations, masks: str) -> tuple[CaseDiagnosis, ...]:
    """The judged cases, most suspicious first, with all that was found.

    Args:
        dataset: for its rank.
        examinations: of its cases.
        masks: folder of the masks, relative to the run.
    """
    cases, told, examined = examinations.cases, examinations.predicted, examinations.examined
    judged = _judged(examinations)
    by_structure, unknown = suspicions(judged), hardly_found(judged)
    spacings = [case.spacing_mm or predicted.spacing_mm for case, predicted in zip(cases, told, strict=True)]
    forms = unusual_forms([one.forms for one in examined], dataset.rank, spacings)
    overall = [suspicion(structures) for structures in by_structure]
    order = sorted(range(len(cases)), key=lambda place: (-overall[place], examined[place].softmin, cases[place].id))
    return tuple(
        CaseDiagnosis(
            rank=rank,
            id=cases[place].id,
            subject=cases[place].subject,
            fold=judged[place].fold,
            suspicion=overall[place],
            softmin=examined[place].softmin,
            findings=(*_of_known(examined[place].findings, unknown), *forms[place]),
            structures=_recorded(examined[place].structures, by_structure[place]),
            images=cases[place].images,
            label=str(cases[place].label),
            mask=f"{masks}/{told[place].mask}",
        )
        for rank, place in enumerate(order, start=1)
    )


def reservations(examinations: Examinations) -> tuple[str, ...]:
    """What to bear in mind when the order is read: structures that could not be judged, and too few cases."""
    unknown = hardly_found(_judged(examinations))
    told = [f"{name} is hardly ever found by these networks, so its labels are not judged; train longer" for name in unknown]
    if (cases := len(examinations.cases)) < FEW_CASES:
        told.append(f"{cases} labels are too few to tell what is usual; the order says little")
    return tuple(told)


def _judged(examinations: Examinations) -> list[Judged]:
    return [
        Judged(_fold(predicted), one.structures)
        for predicted, one in zip(examinations.predicted, examinations.examined, strict=True)
    ]


def _of_known(findings: Sequence[Finding], unknown: Collection[str]) -> list[Finding]:
    """Without those that rest on structures which the networks do not know."""
    return [one for one in findings if not one.structures or not set(one.structures).issubset(unknown)]


def _obstacle(case: Case, predicted: PredictedCase | None) -> NotJudged | None:
    if case.label is None:
        return NotJudged(id=case.id, reason="it has no label", failed=False)
    if predicted is None:
        return NotJudged(id=case.id, reason="no trained fold has it among its validation cases", failed=False)
    if predicted.status == "failed":
        return NotJudged(id=case.id, reason=f"its prediction failed: {predicted.error}", failed=True)
    if not predicted.probabilities or not predicted.mask:
        return NotJudged(id=case.id, reason="no probabilities of it were saved", failed=True)
    return None


def _examined(
    pair: tuple[Case, PredictedCase], *, dataset: Dataset, predictions: Predictions, folder: Path
) -> Examined | NotJudged:
    """A case that cannot be read does not stop the others."""
    case, predicted = pair
    try:
        return _examine(case, predicted, dataset, predictions, folder)
    except DataError as error:
        return NotJudged(id=case.id, reason=str(error), failed=True)


def _examine(case: Case, predicted: PredictedCase, dataset: Dataset, predictions: Predictions, folder: Path) -> Examined:
    labels = load_labels(dataset, case)
    painted = read(folder / str(predicted.mask)).array[0]
    if painted.shape != labels.shape:
        raise DataError(f"{case.id}: label {labels.shape} and mask {painted.shape} differ in shape; predict it again")
    spacing = case.spacing_mm or predicted.spacing_mm
    structures = tuple(structure for structure in match_structures(dataset, predictions) if structure.target)
    maps = LabelledCase(labels, painted, structures, spacing)
    valid = None if dataset.ignore_value is None else labels != dataset.ignore_value
    background = labels == 0
    by_channel = _by_channel(structures, predictions)
    softmin, figures, forms = Softmin(), {}, {}
    pieces: list[Finding] = []
    for channel, probability in enumerate(mean_probabilities([folder / str(predicted.probabilities)])):
        structure = by_channel.get(channel)
        if structure is None:
            softmin.add(probability[background])
            continue
        label, model = maps.label_of(structure), maps.model_of(structure)
        if valid is not None:
            model, probability = model & valid, np.where(valid, probability, np.float32(0))
        softmin.add(probability[label])
        figures[structure.name] = disagreement(label, model, probability, spacing)
        forms[structure.name] = form_of(label, background)
        pieces += parts(maps, structure, label, model, probability)
    return Examined(softmin.value, figures, forms, _findings(maps, figures, pieces))


def _by_channel(structures: Sequence[ScoredStructure], predictions: Predictions) -> dict[int, ScoredStructure]:
    """Which output of the networks is which structure: see `inference.export`."""
    by_name = {structure.name: structure for structure in structures}
    painted = painted_targets(predictions.targets, predictions.regions)
    first = 1 if predictions.regions else 0  # overlapping regions have no output for the background
    return {winner - first: by_name[target.name] for winner, target in painted if target.name in by_name}


def _findings(maps: LabelledCase, figures: Mapping[str, Disagreement], pieces: Sequence[Finding]) -> tuple[Finding, ...]:
    """What explains most comes first, and what it explains is not told again piece by piece."""
    if (nothing := nothing_labelled(figures, maps.rank, maps.spacing_mm)) is not None:
        return (nothing,)
    whole = [found for found in (exchanged(maps, figures), shifted(maps)) if found is not None]
    if not whole and (other := of_another_image(figures)) is not None:
        whole = [other]
    explained = {name for found in whole for name in found.structures}
    sides = [on_one_side(name, one, maps.rank, maps.spacing_mm) for name, one in figures.items()]
    rest = [*(found for found in sides if found is not None), *pieces]
    return (*whole, *(found for found in rest if not explained.issuperset(found.structures)))


def _recorded(figures: Mapping[str, Disagreement], suspicion_of: Mapping[str, float]) -> dict[str, StructureDiagnosis]:
    return {
        name: StructureDiagnosis(
            label_pixels=one.label_pixels,
            model_pixels=one.model_pixels,
            dice=one.dice,
            expected_dice=one.expected_dice,
            confident=one.confident,
            distance=one.distance,
            suspicion=suspicion_of.get(name),
        )
        for name, one in figures.items()
    }


def _fold(predicted: PredictedCase) -> str:
    """Out-of-fold masks lie in a folder for each fold."""
    return Path(str(predicted.mask)).parts[0].removeprefix("fold_")
