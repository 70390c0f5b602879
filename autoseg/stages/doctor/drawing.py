"""Pictures of the labels to look at first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from autoseg.inference.comparison import Comparison, save_comparison
from autoseg.metrics.structures import ScoredStructure, match_structures
from autoseg.parallel import map_cases
from autoseg.processing.cases import load_image, load_labels
from autoseg.records import Case, CaseDiagnosis, Dataset, Predictions
from autoseg.stages.doctor.words import told_agreement, told_title
from autoseg.volume.files import read

UNSAFE = re.compile(r"[^\w.\-]+")  # not in a file's name, on any system


@dataclass(frozen=True)
class _Task:
    """A case with its diagnosis and the picture to draw."""

    case: Case
    diagnosis: CaseDiagnosis
    file: Path


def draw(
    dataset: Dataset,
    predictions: Predictions,
    cases: Sequence[CaseDiagnosis],
    show: int,
    root: Path,
    out: Path,
    *,
    workers: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> tuple[CaseDiagnosis, ...]:
    """Draw the first cases into `out/<rank>_<case>.png`; all cases come back, those with the names of their pictures.

    Args:
        dataset: with these cases.
        predictions: for the meaning of the masks' values.
        cases: ranked.
        show: how many are drawn.
        root: folder that `CaseDiagnosis.mask` is relative to.
        out: folder for the pictures, in `root`.
        workers: processes.
        on_done: called with the number of pictures done so far.
    """
    by_id = {case.id: case for case in dataset.cases}
    digits = max(2, len(str(len(cases))))
    tasks = [_Task(by_id[one.id], one, out / f"{one.rank:0{digits}}_{UNSAFE.sub('_', one.id)}.png") for one in cases[:show]]
    function = partial(
        _drawn,
        dataset=dataset.model_copy(update={"cases": ()}),
        structures=tuple(structure for structure in match_structures(dataset, predictions) if structure.target),
        root=root,
    )
    for _ in map_cases(function, tasks, name=lambda task: task.case.id, workers=workers, on_done=on_done):
        pass
    pictures = {task.case.id: task.file.relative_to(root).as_posix() for task in tasks}
    return tuple(one.model_copy(update={"picture": pictures.get(one.id)}) for one in cases)


def _drawn(task: _Task, *, dataset: Dataset, structures: Sequence[ScoredStructure], root: Path) -> None:
    image = load_image(dataset, task.case)
    labels = load_labels(dataset, task.case)
    mask = read(root / task.diagnosis.mask)
    model = mask.array[0]
    label_map, model_map = np.zeros(labels.shape, np.uint16), np.zeros(model.shape, np.uint16)
    for number, structure in enumerate(structures, start=1):
        label_map[np.isin(labels, list(structure.reference_values))] = number
        model_map[np.isin(model, list(structure.painted_values))] = number
    if dataset.ignore_value is not None:
        model_map[labels == dataset.ignore_value] = 0
    names = {number: structure.name for number, structure in enumerate(structures, start=1)}
    shown = Comparison(image.array, label_map, model_map, image.geometry.spacing_mm)
    sentences = [*(finding.told for finding in task.diagnosis.findings), told_agreement(task.diagnosis)]
    save_comparison(task.file, shown, names, told_title(task.diagnosis), sentences)
