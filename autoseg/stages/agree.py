"""Measures -> how they agree with a truth: labels measured in the same way, or a table of figures."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from autoseg.errors import DataError, Fault
from autoseg.inference.agreement_plot import Panel, save_bland_altman
from autoseg.layouts.mm_table import Table, name_key, read_table
from autoseg.metrics.agreement import bland_altman, icc_2_1, mean_absolute_error
from autoseg.metrics.biometry import HEAD
from autoseg.metrics.measures import FIRST
from autoseg.records import Agreement, MeasureAgreement, MeasuredCase, Measurements

PLOT = "agreement/bland_altman.png"  # in a folder of its own: pictures beside masks would pass for masks
NOT_COMPARED = ("angle",)  # it comes round at 180 degrees, so differences mean little
NAMES_OF_HEAD = {  # as tables call them, with letters and digits alone
    "HC": ("hc", "headcircumference", "headcircumferencemm", "hcmm"),
    "BPD": ("bpd", "biparietaldiameter", "biparietaldiametermm", "bpdmm"),
    "OFD": ("ofd", "occipitofrontaldiameter", "occipitofrontaldiametermm", "ofdmm"),
}
UNKNOWN = ("", "na", "n/a", "nan", "none", "unknown")
LARGEST = 1e9  # of a figure, in whatever unit
PAIR = 2

Key = tuple[str, str]  # structure, measure
Truth = dict[str, dict[Key, float]]  # by what a case is found by, see `name_key`


def truth_of_labels(measurements: Measurements) -> Truth:
    """The figures of labels that were measured as the masks were."""
    return {
        name_key(case.id): {
            (name.casefold(), key): measure.value
            for name, structure in case.structures.items()
            for key, measure in structure.measures.items()
            if measure.value is not None and measure.unit != "pixels"
        }
        for case in measurements.cases
        if case.status == "done"
    }


def truth_of_table(path: Path, measurements: Measurements) -> tuple[Truth, list[str]]:
    """The figures of a CSV: the first column names the image, every other one a measure.

    A column is understood that is called as in `measurements.csv` (`head_HC_mm`), as there without the unit, by the measure alone where
    one structure has it (`HC`, `width`), or as HC18 does (`head circumference (mm)`). Others are left out, which is told.

    Raises:
        DataError: no column is understood, a cell holds no finite number, or rows of one image differ.
    """
    table = read_table(path)
    columns, strangers = _understood(table, measurements)
    if not columns:
        known = ", ".join(list(dict.fromkeys(f"{name}_{key}_{unit}" for name, key, unit in _figures(measurements)))[:12])
        found = ", ".join(map(repr, table.header))
        raise DataError(
            [Fault(path.name, f"no column names a measure; found {found}; call them as in measurements.csv, such as {known}")]
        )
    truth: Truth = {}
    lines: dict[str, int] = {}
    faults = []
    for line, row in table.rows:
        if not row or not row[0]:
            continue
        figures, wrong = _figures_of_row(table, line, row, columns)
        faults += wrong
        name = name_key(row[0])
        if truth.setdefault(name, figures) != figures:
            told = f"line {line}: {row[0]} has other figures than in line {lines[name]}; keep the right row"
            faults.append(Fault(path.name, told))
        lines.setdefault(name, line)
    if faults:
        raise DataError(faults)
    notes = [f"columns of {path.name} that name no measure: {', '.join(strangers)}"] if strangers else []
    return truth, notes


def _figures_of_row(
    table: Table, line: int, row: Sequence[str], columns: Mapping[int, Key]
) -> tuple[dict[Key, float], list[Fault]]:
    figures, faults = {}, []
    for place, key in columns.items():
        cell = row[place] if place < len(row) else ""
        if cell.casefold() in UNKNOWN:
            continue
        try:
            number = float(cell.replace(",", ".") if table.delimiter != "," else cell)
        except ValueError:
            number = math.inf
        if 0 <= number <= LARGEST:
            figures[key] = number
        else:
            told = f"line {line}, column {table.header[place]}: expected a number from 0 to {LARGEST:g}, found {cell!r}"
            faults.append(Fault(table.path.name, told))
    return figures, faults


def agree(
    measurements: Measurements, truth: Truth, *, truth_name: str, notes: Iterable[str] = (), out: Path | None = None
) -> Agreement:
    """Compare every figure that has a truth; with `out`, draw Bland and Altman's plots of the first measures there.

    Raises:
        DataError: no measured case is in the truth.
    """
    cases = [case for case in measurements.cases if name_key(case.id) in truth]
    if not cases:
        known = ", ".join(list(truth)[:3]) or "none"
        raise DataError(f"no measured case is in the truth {truth_name}, which names {known} ...; give that of the same images")
    compared: list[MeasureAgreement] = []
    panels: dict[bool, list[Panel]] = {True: [], False: []}  # of what a clinician looks for, and of the rest
    for name, key, unit in _figures(measurements):
        found, panel = _compare(cases, truth, (name, key), unit)
        if found is not None:
            compared.append(found)
        if panel is not None:
            panels[key in FIRST].append(panel)
    if not compared:
        raise DataError(f"the truth {truth_name} has no figure of these masks; give a table or labels with the same structures")
    seen = {name_key(case.id) for case in measurements.cases}
    drawn = panels[True] or panels[False]
    if out is not None and drawn:
        save_bland_altman(out / PLOT, drawn)
    return Agreement(
        masks=measurements.masks,
        truth=truth_name,
        measures=tuple(compared),
        without_mask=tuple(sorted(name for name in truth if name not in seen)),
        plot=PLOT if out is not None and drawn else None,
        notes=tuple(notes),
    )


def _figures(measurements: Measurements) -> list[tuple[str, str, str]]:
    """(structure, measure, unit) of what can be compared, those that a clinician looks for first."""
    found = dict.fromkeys(
        (name, key, measure.unit)
        for case in measurements.cases
        for name, structure in case.structures.items()
        for key, measure in structure.measures.items()
        if measure.unit != "pixels" and key not in NOT_COMPARED
    )
    return sorted(found, key=lambda figure: FIRST.index(figure[1]) if figure[1] in FIRST else len(FIRST))


def _compare(
    cases: Iterable[MeasuredCase], truth: Mapping[str, Mapping[Key, float]], figure: Key, unit: str
) -> tuple[MeasureAgreement | None, Panel | None]:
    name, key = figure
    pairs: list[tuple[float, float]] = []
    subjects: list[str] = []
    missing: list[str] = []
    for case in cases:
        true = truth[name_key(case.id)].get((name.casefold(), key))
        if true is None:
            continue
        structure = case.structures.get(name)
        measure = structure.measures.get(key) if structure else None
        if measure is None or measure.value is None or measure.unit != unit:  # pixels are counted where there are no mm
            missing.append(case.id)
        else:
            pairs.append((measure.value, true))
            subjects.append(case.subject)
    if not pairs and not missing:
        return None, None
    head = {"structure": name, "measure": key, "unit": unit, "compared": len(pairs), "not_measured": tuple(missing)}
    if not pairs:
        return MeasureAgreement.model_validate({**head, "subjects": 0}), None
    differences = [measured - true for measured, true in pairs]
    limits = bland_altman(differences)
    error, interval = mean_absolute_error(differences, subjects)
    record = MeasureAgreement.model_validate(
        {
            **head,
            "subjects": len(set(subjects)),
            "bias": limits.bias,
            "bias_interval": limits.bias_interval,
            "deviation": limits.deviation,
            "lower": limits.lower,
            "lower_interval": limits.lower_interval,
            "upper": limits.upper,
            "upper_interval": limits.upper_interval,
            "mae": error,
            "mae_interval": interval,
            "largest": max(map(abs, differences)),
            "icc": icc_2_1(np.array(pairs)),
        }
    )
    if len(pairs) < PAIR:
        return record, None
    both = None if limits.lower is None or limits.upper is None else (limits.lower, limits.upper)
    bands = tuple(band for band in (limits.bias_interval, limits.lower_interval, limits.upper_interval) if band is not None)
    measured, true_values = zip(*pairs, strict=True)
    return record, Panel(f"{name} {key.replace('_', ' ')}", unit, measured, true_values, limits.bias, both, bands)


def _understood(table: Table, measurements: Measurements) -> tuple[dict[int, Key], list[str]]:
    """Which column holds which figure, and the headings of those that hold none."""
    figures = _figures(measurements)
    names: dict[str, set[Key]] = {}
    for name, key, unit in figures:
        figure = (name.casefold(), key)
        for title in (f"{name}{key}{unit}", f"{name}{key}", f"{key}{unit}", key):
            names.setdefault(_letters(title), set()).add(figure)
        if name.casefold() == HEAD:
            for title in NAMES_OF_HEAD.get(key, ()):
                names[title] = {figure}
    columns: dict[int, Key] = {}
    strangers: list[str] = []
    taken: dict[Key, list[str]] = {}
    for place, heading in enumerate(table.header):
        if place == 0:
            continue
        meant = names.get(_letters(heading), set())
        if len(meant) == 1:
            columns[place] = next(iter(meant))
            taken.setdefault(columns[place], []).append(heading)
        else:
            strangers.append(heading)
    if twice := [headings for headings in taken.values() if len(headings) > 1]:
        raise DataError(
            [Fault(table.path.name, f"the columns {' and '.join(map(repr, twice[0]))} are one measure; keep one of them")]
        )
    return columns, strangers


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())
