"""The verb `select`: how a trained model is best applied, told as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from autoseg.cli_console import reported, show
from autoseg.cli_options import DeviceOption, EngineOption, Profile, RunArgument, WorkersOption

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from autoseg.records import Judgement, Scores, SelectionReport


def select(
    context: typer.Context,
    run: RunArgument,
    profile: Annotated[
        list[Profile] | None,
        typer.Option(
            help="Repeatable: inference profiles to compare with balanced. [default: best and fast]", show_default=False
        ),
    ] = None,
    device: DeviceOption = "auto",
    engine: EngineOption = "auto",
    workers: WorkersOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print selection.json.")] = False,
) -> None:
    """Find out how a trained model is best applied, on cases that its folds had not seen.

    Configurations, pairs of them, inference profiles and postprocessing are compared; `predict` then does what was found best.
    """
    with reported(context) as (console, progress):
        from autoseg import pipeline

        report, scores = pipeline.select(
            run,
            profiles=tuple(one.value for one in profile or (Profile.best, Profile.fast)),
            device=device,
            engine=engine,
            workers=workers,
            progress=progress,
        )
        if as_json:
            typer.echo(report.text(), nl=False)
        else:
            show(console, select_report(report, scores, run))


def select_report(report: SelectionReport, scores: Scores, run: Path) -> list[RenderableType]:
    """What was compared, what was adopted, what could not be told, and the scores."""
    from autoseg.cli_tables import add_columns, new_table, scores_report
    from autoseg.stages.select.rule import NOTHING_CHANGES

    found = report.selection
    folds = "; ".join(f"{name}: folds {', '.join(judged)}" for name, judged in found.judged.items())
    parts: list[RenderableType] = [
        "",
        f"Judged on {report.cases} cases of {report.subjects} subjects, none of which its fold had seen ({folds})",
    ]
    if any(len(judged) < report.folds_planned for judged in found.judged.values()):
        parts.append(
            f"note: not all of {report.folds_planned} folds are trained; train the others and select again for a firmer result"
        )
    table = new_table("Compared, by mean Dice of the targets per case")
    add_columns(table, ["question", "candidate", "against"], ["Dice", "before", "difference"])
    table.add_column("adopted")
    idle = [one for one in report.judgements if one.reason == NOTHING_CHANGES]
    for judgement in report.judgements:
        if judgement not in idle:
            table.add_row(*_cells(judgement))
    parts.append(table)
    if idle:
        parts.append(f"These change nothing: {'; '.join(one.candidate for one in idle)}")
    cost = new_table("Seconds per case, with one fold", header=False)
    add_columns(cost, ["way"], ["seconds"])
    for way, seconds in report.seconds_per_case.items():
        cost.add_row(way, f"{seconds:.2f}")
    parts.append(cost)
    steps = "; ".join(step.told for step in found.postprocessing) or "none"
    parts.append(f"Selected: {' and '.join(found.configurations)}, profile {found.profile}, postprocessing: {steps}")
    parts += [f"not established: {sentence}" for sentence in report.not_established]
    parts += scores_report(scores)
    parts.append(f"`predict` follows this from now on. Masks and scores of these cases are in {run / 'out_of_fold'}")
    return parts


def _cells(judgement: Judgement) -> tuple[str, ...]:
    interval = judgement.interval
    spread = f" [{interval[0]:+.4f}..{interval[1]:+.4f}]" if interval else ""
    return (
        judgement.question,
        judgement.candidate,
        judgement.baseline,
        f"{judgement.candidate_dice:.4f}",
        f"{judgement.baseline_dice:.4f}",
        f"{judgement.difference:+.4f}{spread}",
        "yes" if judgement.adopted else f"no: {judgement.reason}",
    )
