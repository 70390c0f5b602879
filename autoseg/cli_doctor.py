"""The verb `doctor`: which labels to look at first, told as a table of the first ten, and a page of the first ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoseg.cli_console import reported, show
from autoseg.cli_options import DeviceOption, EngineOption, RunArgument, WorkersOption
from autoseg.errors import EXIT_SOME_FAILED

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autoseg.records import Diagnosis

ROWS = 10


def doctor(
    context: typer.Context,
    run: RunArgument,
    shown: Annotated[int, typer.Option("--show", metavar="N", min=1, help="Cases to draw, the most suspicious first.")] = 40,
    configuration: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the plan. [default: what `select` found, or the plan's]")
    ] = None,
    device: DeviceOption = "auto",
    engine: EngineOption = "auto",
    workers: WorkersOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print doctor.json.")] = False,
) -> None:
    """Find labels that may be wrong: those that disagree with networks that had not seen them.

    Writes RUN/doctor.json, RUN/doctor.csv, and RUN/doctor/index.html with pictures. Nothing of the data set is changed.
    """
    with reported(context) as (console, progress):
        from autoseg import pipeline

        diagnosis = pipeline.doctor(
            run, show=shown, configuration=configuration, device=device, engine=engine, workers=workers, progress=progress
        )
        if as_json:
            typer.echo(diagnosis.text(), nl=False)
        else:
            show(console, doctor_report(diagnosis, run))
        failed = any(case.failed for case in diagnosis.not_judged)
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def doctor_report(diagnosis: Diagnosis, run: Path) -> list[RenderableType]:
    """The first cases with what may be wrong, those that could not be judged, and where the page is."""
    from autoseg.cli_tables import add_columns, new_table
    from autoseg.stages.doctor.words import further_down, told_findings, told_summary

    table = new_table(f"Labels to look at first, of {len(diagnosis.cases)}")
    add_columns(table, [], ["rank"])
    add_columns(table, ["case"], ["suspicion", "lowest Dice"])
    table.add_column("what may be wrong", overflow="fold")
    for case in diagnosis.cases[:ROWS]:
        dices = [one.dice for one in case.structures.values() if one.suspicion is not None]
        table.add_row(
            str(case.rank), case.id, f"{case.suspicion:.1f}", f"{min(dices):.3f}" if dices else "-", told_findings(case)
        )
    parts: list[RenderableType] = ["", told_summary(diagnosis), *(f"note: {note}" for note in diagnosis.notes), table]
    if below := further_down(diagnosis):
        parts.append(f"{len(below)} more labels have islands, holes or stray values; the page lists them")
    reasons = dict.fromkeys(one.reason for one in diagnosis.not_judged)
    for reason in reasons:
        names = [one.id for one in diagnosis.not_judged if one.reason == reason]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        parts.append(f"not judged, as {reason}: {', '.join(names[:3])}{more}")
    drawn = sum(case.picture is not None for case in diagnosis.cases)
    parts.append(f"Pictures of the first {drawn} are in {run / 'doctor' / 'index.html'}")
    return parts
