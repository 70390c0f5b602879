"""A sheet of some imported cases with their labels, to see at a glance whether images and labels fit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from autoseg.inference.sheet import Cell, Row, save_sheet
from autoseg.processing.cases import load_image, load_labels
from autoseg.records import Case, Dataset

CASES_SHOWN, IN_A_ROW = 12, 4


def save_import_sheet(path: Path, dataset: Dataset, labelled: Collection[str]) -> None:
    """Write a PNG of up to twelve cases, evenly drawn from those with labels and then from the others; volumes show the slice with most labels.

    Args:
        path: where to.
        dataset: that was written.
        labelled: ids of cases with labelled pixels.
    """
    cells = [_cell(dataset, case) for case in _chosen(dataset.cases, labelled)]
    rows = [Row("", tuple(cells[begin : begin + IN_A_ROW])) for begin in range(0, len(cells), IN_A_ROW)]
    names = {number: target.name for number, target in enumerate(dataset.targets, start=1)}
    save_sheet(path, rows, names, rgb=dataset.channels == ("red", "green", "blue"))


def _chosen(cases: Sequence[Case], labelled: Collection[str]) -> list[Case]:
    with_labels = _evenly([case for case in cases if case.id in labelled], CASES_SHOWN)
    without = _evenly([case for case in cases if case.id not in labelled], CASES_SHOWN - len(with_labels))
    return [*with_labels, *without]


def _evenly(cases: Sequence[Case], most: int) -> list[Case]:
    number = min(len(cases), most)
    return [cases[place * len(cases) // number] for place in range(number)]


def _cell(dataset: Dataset, case: Case) -> Cell:
    image, labels = load_image(dataset, case).array, load_labels(dataset, case)
    if labels.ndim == 3:
        place = int(np.count_nonzero(labels, axis=(1, 2)).argmax())
        image, labels = image[:, place].copy(), labels[place].copy()  # and not the volumes that they are parts of
    drawn = [np.isin(labels, target.values) * np.uint16(number) for number, target in enumerate(dataset.targets, start=1)]
    return Cell(image, np.stack(drawn) if dataset.regions else np.max(drawn, axis=0), (case.id,))
