"""The verb `measure`: masks to millimetres, and how these agree with a truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autoseg.cli_console import reported, show
from autoseg.cli_options import LayoutOption, SpacingOption, SubjectsOption, WorkersOption
from autoseg.cli_values import parse_number_or_file, parse_structures, parse_subjects
from autoseg.errors import EXIT_SOME_FAILED

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from autoseg.records import Agreement, Measure, MeasuredCase, Measurements

SHOWN_CASES = 20  # measurements.csv has them all
SHOWN_COLUMNS = 8
SECOND_AGE = "GA_BPD"  # left to the table on disk, for want of room
SHOWN_FAILURES = 20
SHOWN_AGREEMENTS = 16


def measure(
    context: typer.Context,
    masks: Annotated[
        Path,
        typer.Argument(
            metavar="MASKS",
            help="What `predict` wrote, a folder of label maps, or a data set that `plan` reads.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="Folder for the results. [default: MASKS, if `predict` wrote it]")
    ] = None,
    spacing: SpacingOption = None,
    structure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Repeatable: what a value in a folder of label maps is; head=1+2+3 joins some. [default: every value is a structure]",
        ),
    ] = None,
    layout: LayoutOption = "auto",
    subjects: SubjectsOption = None,
    truth: Annotated[
        Path | None,
        typer.Option(metavar="DATASET|CSV", help="Compare with labels, measured in the same way, or with a table of figures."),
    ] = None,
    dating: Annotated[
        Literal["hadlock-1984", "altman-chitty-1997", "intergrowth-2016"], typer.Option(help="Formula for the gestational age.")
    ] = "hadlock-1984",
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw a picture of each case.")] = True,
    workers: WorkersOption = None,
) -> None:
    """Measure masks in mm: head circumference, BPD, OFD, widths, areas, volumes.

    Writes measurements.json, measurements.csv and a picture of each case. For learning and research; not a medical device.
    """
    with reported(context) as (console, progress):
        from autoseg import pipeline

        outcome = pipeline.measure(
            masks,
            out,
            structures=parse_structures(structure or ()),
            layout=layout,
            spacing=None if spacing is None else parse_number_or_file(spacing, "--spacing"),
            subjects=parse_subjects(subjects),
            truth=truth,
            dating=dating,
            figures=figures,
            workers=workers,
            progress=progress,
        )
        show(console, measures_report(outcome.measurements, outcome.out))
        if outcome.agreement is not None:
            show(console, agreement_report(outcome.agreement, outcome.out))
        failed = any(case.status == "failed" for case in outcome.measurements.cases)
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def show_measures(console: Console, out: Path) -> None:
    """The results that lie in a folder, as `measure` shows them."""
    from autoseg.records import Measurements

    if (out / "measurements.json").is_file():
        show(console, measures_report(Measurements.load(out / "measurements.json"), out))


def measures_report(measurements: Measurements, out: Path) -> list[RenderableType]:
    """A row for each case with the figures that a clinician looks for, then doubts, reasons and failures."""
    done = [case for case in measurements.cases if case.status == "done"]
    parts: list[RenderableType] = ["", _measures_table(done)]
    if any(found.low is not None for case in done for one in case.structures.values() for found in one.measures.values()):
        parts.append("In brackets: 95 % intervals, from cases that the model had not seen (docs/trust.md)")
    if len(done) > SHOWN_CASES:
        parts.append(f"... and {len(done) - SHOWN_CASES} more in {out / 'measurements.csv'}")
    parts += _doubts_and_reasons(done, out)
    parts += _notes(measurements, done)
    failed = [case for case in measurements.cases if case.status == "failed"]
    parts += _first([f"failed: {case.id}: {case.error}" for case in failed], f"more; {out / 'measurements.json'} names them")
    parts.append(f"Results are in {out}: measurements.csv and measurements.json")
    return parts


def _measures_table(done: Sequence[MeasuredCase]) -> RenderableType:
    from autoseg.cli_tables import add_columns, new_table
    from autoseg.metrics.measures import FIRST
    from autoseg.stages.measure import told_doubts

    figures = list(
        dict.fromkeys(
            (name, key, measure.unit)
            for case in done
            for name, structure in case.structures.items()
            for key, measure in structure.measures.items()
            if measure.value is not None
        )
    )
    figures.sort(key=lambda figure: FIRST.index(figure[1]) if figure[1] in FIRST else len(FIRST))
    first = [figure for figure in figures if figure[1] in FIRST and figure[1] != SECOND_AGE]
    shown = first[:SHOWN_COLUMNS] or figures[:SHOWN_COLUMNS]
    table = new_table(f"Measures of {len(done)} masks")
    add_columns(table, ["case"], [*(_title(*figure) for figure in shown), "doubts"])
    for case in done[:SHOWN_CASES]:
        cells = []
        for name, key, unit in shown:
            structure = case.structures.get(name)
            found = structure.measures.get(key) if structure else None
            cells.append("-" if found is None or found.value is None else _with_ends(found, unit))
        doubts = told_doubts(case)
        table.add_row(f"{case.id} (review)" if case.review else case.id, *cells, str(len(doubts)) if doubts else "")
    return table


def _doubts_and_reasons(done: Sequence[MeasuredCase], out: Path) -> list[RenderableType]:
    from autoseg.metrics.measures import ABSENT
    from autoseg.stages.measure import told_doubts, told_failures

    reasons = [f"not measured: {case.id}: {why}" for case in done for why in told_failures(case, ages=False) if ABSENT not in why]
    doubts = [f"doubt: {case.id}: {doubt}" for case in done for doubt in told_doubts(case)]
    where = out / "measurements.csv"
    return [*_first(reasons, f"more reasons in {where}"), *_first(doubts, f"more doubts in {where}")]


def _notes(measurements: Measurements, done: Sequence[MeasuredCase]) -> list[RenderableType]:
    """What is missing everywhere, or in some cases."""
    from autoseg.metrics.measures import UNKNOWN_SPACING
    from autoseg.stages.measure import told_failures

    notes: list[RenderableType] = []
    ageless = sum(len(told_failures(case)) > len(told_failures(case, ages=False)) for case in done)
    if ageless:
        notes.append(f"note: {ageless} without a gestational age, as {measurements.dating} gives none for a head of that size")
    without_mm = sum(case.spacing_mm is None for case in done)
    if without_mm:
        notes.append(f"note: {without_mm} without millimetres: {UNKNOWN_SPACING}")
    for name in measurements.structures:
        if done and not any(name in case.structures and case.structures[name].pixels for case in done):
            notes.append(f"note: no mask holds {name} ({_values(measurements, name)})")
    return notes


def _first(sentences: list[str], more: str) -> list[RenderableType]:
    """The first of them, and where the others are."""
    rest = [f"... and {len(sentences) - SHOWN_FAILURES} {more}"] if len(sentences) > SHOWN_FAILURES else []
    return [*sentences[:SHOWN_FAILURES], *rest]


def agreement_report(agreement: Agreement, out: Path) -> list[RenderableType]:
    """A row for each measure that was compared."""
    from autoseg.cli_tables import add_columns, new_table

    table = new_table("Agreement with the truth (measured minus true; 95 % intervals in brackets)")
    names = ["cases", "missing", "bias", "limits of agreement", "MAE", "largest", "ICC(2,1)"]
    add_columns(table, ["measure"], names)
    for found in agreement.measures[:SHOWN_AGREEMENTS]:
        limits = "-" if found.lower is None or found.upper is None else f"{found.lower:+.2f} to {found.upper:+.2f}"
        table.add_row(
            _title(found.structure, found.measure, found.unit),
            str(found.compared),
            str(len(found.not_measured) or ""),
            _with_interval(found.bias, found.bias_interval, "+.2f"),
            limits,
            _with_interval(found.mae, found.mae_interval, ".2f"),
            "-" if found.largest is None else f"{found.largest:.2f}",
            "-" if found.icc is None else f"{found.icc:.3f}",
        )
    parts: list[RenderableType] = ["", table, *(f"note: {note}" for note in agreement.notes)]
    if len(agreement.measures) > SHOWN_AGREEMENTS:
        parts.append(f"... and {len(agreement.measures) - SHOWN_AGREEMENTS} more in {out / 'agreement.json'}")
    missing = sorted({case for found in agreement.measures for case in found.not_measured})
    if missing:
        named = f"{', '.join(missing[:10])}{' ...' if missing[10:] else ''}"
        parts.append(f"note: a truth is known, but the mask could not be measured, and is in no figure above: {named}")
    if agreement.without_mask:
        parts.append(f"note: {len(agreement.without_mask)} cases of the truth have no mask")
    if agreement.plot:
        parts.append(f"Bland and Altman's plots are in {out / agreement.plot}")
    return parts


def _values(measurements: Measurements, name: str) -> str:
    values = measurements.structures[name]
    return f"value{'s' if len(values) > 1 else ''} {', '.join(map(str, values))}"


def _title(name: str, measure: str, unit: str) -> str:
    return f"{name} {measure.replace('_', ' ')} {'%' if unit == 'percent' else unit}"


def _with_ends(found: Measure, unit: str) -> str:
    """271 [265..277]: the value and its 95 % interval, where there is one."""
    value = _figure(found.value or 0.0, unit)
    if found.low is None or found.high is None:
        return value
    return f"{value} [{_figure(found.low, unit)}..{_figure(found.high, unit)}]"


def _figure(value: float, unit: str) -> str:
    return (
        f"{value:.0f}" if unit in ("percent", "mm2", "pixels") else f"{value:.1f}" if unit in ("mm", "weeks") else f"{value:.3g}"
    )


def _with_interval(value: float | None, interval: tuple[float, float] | None, form: str) -> str:
    if value is None:
        return "-"
    return f"{value:{form}}" + ("" if interval is None else f" [{interval[0]:{form}}..{interval[1]:{form}}]")
