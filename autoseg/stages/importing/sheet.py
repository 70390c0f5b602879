"""A sheet of some imported cases with their labels, to see at a glance whether images and labels fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autoseg.inference.sheet import Cell, Row, save_sheet
from autoseg.processing.cases import load_image, load_labels
from autoseg.records import Case, Dataset

CASES_SHOWN, IN_A_ROW = 12, 4


def save_import_sheet(path: Path, dataset: Dataset) -> None:
    """Write a PNG of up to twelve cases, evenly drawn from those with labels first; volumes show the slice with most of them.

    Args:
        path: where to.
        dataset: that was written.
    """
    cells = [_cell(dataset, case) for case in _chosen(dataset.cases)]
    rows = [Row("", tuple(cells[begin : begin + IN_A_ROW])) for begin in range(0, len(cells), IN_A_ROW)]
    names = {number: target.name for number, target in enumerate(dataset.targets, start=1)}
    save_sheet(path, rows, names, rgb=dataset.channels == ("red", "green", "blue"))


def _chosen(cases: Sequence[Case]) -> list[Case]:
    step = max(1, len(cases) // CASES_SHOWN)
    return list(cases[::step][:CASES_SHOWN])


def _cell(dataset: Dataset, case: Case) -> Cell:
    image, labels = load_image(dataset, case).array, load_labels(dataset, case)
    if labels.ndim == 3:
        place = int(np.count_nonzero(labels, axis=(1, 2)).argmax())
        image, labels = image[:, place], labels[place]
    shown = np.zeros(labels.shape, np.uint16)
    for number, target in enumerate(dataset.targets, start=1):  # regions over one another, as masks are painted
        shown[np.isin(labels, target.values)] = number
    return Cell(image, shown, (case.id,))
