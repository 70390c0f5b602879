"""The verb `select`: how a trained model is best applied, told as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from autoseg.cli_console import reported, show
from autoseg.cli_options import DeviceOption, EngineOption, Profile, RunArgument, WorkersOption
from autoseg.errors import EXIT_SOME_FAILED

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from autoseg.records import Judgement, Proportion, Scores, SelectionReport, Trust, TrustReport


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
    if scores.missing:
        raise typer.Exit(EXIT_SOME_FAILED)


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
    table = new_table("Compared, by mean Dice per case (1 for a structure that is rightly absent, 0 for a false alarm)")
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
    if report.trust is not None:
        parts += trust_report(report.trust, found.trust)
    parts += scores_report(scores)
    parts.append(f"`predict` follows this from now on. Masks and scores of these cases are in {run / 'out_of_fold'}")
    return parts


def trust_report(report: TrustReport, trust: Trust | None) -> list[RenderableType]:
    """What predictions are worth: expected Dice, review, intervals, calibration."""
    from autoseg.cli_tables import add_columns, new_table

    parts: list[RenderableType] = []
    if report.correlation is not None:
        found = report.correlation
        parts.append(
            f"Predicted and real Dice: Spearman {found.value:.2f} [{found.low:.2f}..{found.high:.2f}] on {found.cases} cases out of fold"
        )
    if trust is not None and trust.review is not None:
        limit = f"Dice of at least {report.good_dice:.2f}" + (f", HC within {report.good_mm:g} mm" if report.good_mm else "")
        parts.append(
            f"Review, out of fold ({limit} is good): {_share(report.good_flagged)} good masks flagged, {_share(report.bad_found)} bad ones found"
        )
        if report.strange:
            parts.append(
                f"{report.strange} training cases are unlike the others in spacing, size or brightness, and would be flagged for that"
            )
    elif trust is not None and trust.review_off:
        parts.append(f"Review: {trust.review_off}")
    if report.calibration_error is not None and report.calibration_error_after is not None and trust is not None:
        parts.append(
            f"Temperature {trust.temperature:.2f}: calibration error {report.calibration_error:.3f}, {report.calibration_error_after:.3f} with it"
        )
    told = [one for one in report.intervals if one.coverage is not None]
    if told:
        table = new_table("95 % intervals of measures, each case's from the other folds")
        add_columns(table, ["measure"], ["held the truth", "of subjects", "median width"])
        for one in told:
            assert one.coverage is not None
            covered = f"{100 * one.coverage.share:.1f} % [{100 * one.coverage.low:.1f}..{100 * one.coverage.high:.1f}]"
            width = "-" if one.median_width is None else f"{one.median_width:.3g} {'%' if one.unit == 'percent' else one.unit}"
            table.add_row(f"{one.structure} {one.measure.replace('_', ' ')}", covered, f"{one.coverage.total:g}", width)
        parts.append(table)
    reasons: dict[str, list[str]] = {}
    for one in report.intervals:
        if one.reason:
            reasons.setdefault(one.reason, []).append(f"{one.structure} {one.measure.replace('_', ' ')}")
    parts += [f"Intervals of {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    return parts


def _share(found: Proportion | None) -> str:
    """8.0 % [3.5..15.0] of 90."""
    if found is None:
        return "there are no"
    return f"{100 * found.share:.1f} % [{100 * found.low:.1f}..{100 * found.high:.1f}] of {found.total:g}"


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
