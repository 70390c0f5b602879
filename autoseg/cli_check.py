"""The verb `check`: what would hurt later in a data set, told before anything is planned on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoseg.cli_console import reported, show, typed
from autoseg.cli_options import LayoutOption, SpacingOption, SubjectsOption, WorkersOption
from autoseg.cli_values import parse_number_or_file, parse_subjects
from autoseg.errors import EXIT_SOME_FAILED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from autoseg.records import CheckFinding, CheckReport, RepairReport

ROWS_OF_A_KIND = 3  # the others are counted; errors are all told in the end
MOST_ERRORS = 40


def check(
    context: typer.Context,
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A folder that `plan` reads.", show_default=False)],
    layout: LayoutOption = "auto",
    spacing: SpacingOption = None,
    subjects: SubjectsOption = None,
    splits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="splits.json, or nnU-Net's splits_final.json: look for leaks.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print check.json.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also write check.json and a page with pictures, index.html.")
    ] = None,
    fix: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write a repaired copy into a new folder; nothing is changed in place.")
    ] = None,
    workers: WorkersOption = None,
) -> None:
    """Look for everything in a data set that would hurt later: before training, all at once.

    Exit code 1 where there are errors, 0 where there are warnings or notes at most.
    """
    with reported(context) as (console, progress):
        from autoseg import pipeline

        outcome = pipeline.check(
            dataset,
            layout=layout,
            spacing=None if spacing is None else parse_number_or_file(spacing, "--spacing"),
            subjects=parse_subjects(subjects),
            splits=splits,
            out=out,
            fix=fix,
            workers=workers,
            progress=progress,
        )
        if as_json:
            typer.echo(outcome.report.text(), nl=False)
        else:
            show(console, check_report(outcome.report, out))
            if outcome.repairs is not None and fix is not None:
                show(console, repair_report(outcome.repairs, fix))
        if outcome.no_copy is not None:
            progress.message(f"no repaired copy was written: {outcome.no_copy}")
    if outcome.report.errors or outcome.no_copy is not None:
        raise typer.Exit(EXIT_SOME_FAILED)


def check_report(report: CheckReport, out: Path | None) -> list[RenderableType]:
    """Findings by severity and kind; of each kind the first ones with their cases, and how many more there are."""
    from autoseg.cli_tables import add_columns, new_table
    from autoseg.stages.check.page import TITLES, by_kind, told_cases, told_summary

    parts: list[RenderableType] = ["", told_summary(report), *(f"note: {note}" for note in report.read)]
    for severity, title in TITLES.items():
        found = [one for one in report.findings if one.severity == severity]
        if not found:
            continue
        table = new_table(f"{title}: {len(found)}")
        add_columns(table, ["kind"], [])
        table.add_column("cases", overflow="fold")
        table.add_column("what was found, and what to do", overflow="fold")
        for kind, members in by_kind(found).items():
            for one in members[:ROWS_OF_A_KIND]:
                table.add_row(kind, told_cases([one]), one.told + (" [--fix]" if one.fixable else ""))
            if rest := members[ROWS_OF_A_KIND:]:
                table.add_row("", told_cases(rest), f"... and {len(rest)} more of this kind")
        parts.append(table)
    if not report.findings:
        parts.append("Nothing was found.")
    parts += _named_errors([one for one in report.findings if one.severity == "error"])
    if out is not None:
        parts.append(f"Pictures are in {out / 'index.html'}, all cases in {out / 'check.json'}")
    elif report.findings:
        parts.append("All cases: --json; with pictures: --out FOLDER")
    return parts


def _named_errors(errors: list[CheckFinding]) -> list[RenderableType]:
    """Every case with an error, since each has to be seen to."""
    names = list(dict.fromkeys(name for one in errors for name in one.cases))
    return [f"Cases with errors: {_all_but_many(names)}"] if names else []


def _all_but_many(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_ERRORS} more" if len(names) > MOST_ERRORS else ""
    return f"{', '.join(names[:MOST_ERRORS])}{more}"


def repair_report(repairs: RepairReport, out: Path) -> list[RenderableType]:
    """How many cases were changed and copied, everything that is not in the copy, and where it lies."""
    from autoseg.layouts.base import listed
    from autoseg.layouts.written_tables import SUBJECTS
    from autoseg.stages.check.facts import counted

    changed = [case for case in repairs.cases if case.changes]
    same = len(repairs.cases) - len(changed)
    unchanged = f"{same} as {'it was' if same == 1 else 'they were'}"
    told = f"{counted(len(changed), 'label')} changed, {unchanged}, {counted(len(repairs.left_out), 'case')} left out"
    parts: list[RenderableType] = [f"Repaired copy: {told}"]
    parts += [f"changed: {case.id}: {'; '.join(case.changes)}" for case in changed[:ROWS_OF_A_KIND]]
    parts += [f"left out: {case.id}: {case.reason}" for case in repairs.left_out[:ROWS_OF_A_KIND]]
    if rest := repairs.left_out[ROWS_OF_A_KIND:]:
        parts.append(f"left out, too: {_all_but_many([case.id for case in rest])}")
    if repairs.unused:
        parts.append(
            f"not copied, as no case has {'it' if len(repairs.unused) == 1 else 'them'}: {_all_but_many(repairs.unused)}"
        )
    if filled := [case.id for case in repairs.cases if case.filled]:
        parts.append(f"outlines filled in {counted(len(filled), 'label')}: {listed(filled)}")
    subjects = f" --subjects {typed(out / SUBJECTS)}" if (out / SUBJECTS).is_file() else ""
    parts.append(
        f"The copy is in {out}; repairs.json tells each change, and why cases were left out. Next: autoseg check {typed(out)}{subjects}"
    )
    return parts
