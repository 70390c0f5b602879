"""The verb `compare`: two runs, or two scored folders of masks, as a table or as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoseg.cli_console import results_console, show, stopping_in_words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autoseg.metrics.comparison import FigureComparison
    from autoseg.pipeline.comparing import Comparison

DIFFERENT = 0.05
PERCENT = 100.0
# How a figure is called, in how many digits, and what it is multiplied with.
COLUMNS = {
    "dice": ("Dice", 3, 1.0),
    "iou": ("IoU", 3, 1.0),
    "accuracy": ("accuracy", 4, 1.0),
    "precision": ("precision", 3, 1.0),
    "recall": ("recall", 3, 1.0),
    "surface_dice": ("surface Dice", 3, 1.0),
    "hd_mm": ("HD mm", 2, 1.0),
    "hd95_mm": ("HD95 mm", 2, 1.0),
    "assd_mm": ("ASSD mm", 2, 1.0),
    "absolute_size_error": ("size error", 2, 1.0),
    "absolute_relative_size_error": ("size error %", 1, PERCENT),
    "circumference_mae_mm": ("HC MAE mm", 2, 1.0),
}


def compare(
    context: typer.Context,
    a: Annotated[
        Path,
        typer.Argument(
            metavar="A", help="A run with validated folds, or a folder that `evaluate` has scored.", show_default=False
        ),
    ],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one; differences are B - A.", show_default=False)],
    configuration: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of the plan; twice: A's, then B's. [default: the plan's]"),
    ] = None,
    figure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help=f"Repeatable; of {', '.join(COLUMNS)}. [default: those that tell something of their own]"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that was found as JSON.")] = False,
) -> None:
    """Tell whether B is better than A: paired differences over the same cases, with intervals and tests over subjects.

    Of two runs the scores of validation are compared, which have to be of the same folds.
    """
    with stopping_in_words(context):
        from autoseg import pipeline

        found = pipeline.compare(a, b, configurations=tuple(configuration or ()), figures=tuple(figure or ()))
        if as_json:
            typer.echo(json.dumps(asdict(found), indent=1))
        else:
            show(results_console(), compare_report(found))


def compare_report(found: Comparison) -> list[RenderableType]:
    """One row per figure and structure, then how to read it."""
    from autoseg.cli_tables import add_columns, new_table

    table = new_table(f"{found.cases} cases of {found.subjects} subjects (means over the cases where the structure is present)")
    add_columns(table, ["structure", "figure"], ["cases", "A", "B", "B - A [95 %]", "p", "p (Holm)", "effect [95 %]"])
    add_columns(table, ["better"], [])
    for one in found.figures:
        name, digits, factor = COLUMNS[one.figure]
        name += _unit(one, found)
        means = (f"{value * factor:.{digits}f}" for value in (one.mean_a, one.mean_b))
        difference = _with_interval(one.difference, one.interval, digits, factor)
        effect = _with_interval(one.effect, one.effect_interval, 2, 1.0)
        table.add_row(
            one.structure, name, str(one.cases), *means, difference, _p(one.p), _p(one.p_holm), effect, better_side(one)
        )
    parts: list[RenderableType] = ["", f"A: {found.a}", f"B: {found.b}", table]
    if not found.figures:
        parts.append("note: no structure is present in any case that both have scored")
    parts += [f"note: {note}" for note in found.notes]
    parts.append(
        "Intervals: bootstrap over subjects. p: Wilcoxon's signed-rank test on the means of each subject, corrected for all rows by Holm. "
        "Effect: matched-pairs rank-biserial correlation of B - A, from -1 to 1. See docs/metrics.md."
    )
    return parts


def better_side(one: FigureComparison) -> str:
    """A or B, where the corrected test tells them apart; "-" where it does not."""
    if one.p_holm is None or one.p_holm >= DIFFERENT or one.effect == 0:
        return "-"
    return "B" if (one.effect > 0) == (one.better == "higher") else "A"


def _unit(one: FigureComparison, found: Comparison) -> str:
    if one.figure == "surface_dice" and found.tolerance_mm is not None:
        return f" {found.tolerance_mm:g} mm"
    return f" {found.size_unit}" if one.figure == "absolute_size_error" and found.size_unit else ""


def _with_interval(value: float, interval: tuple[float, float] | None, digits: int, factor: float) -> str:
    ends = "" if interval is None else f" [{interval[0] * factor:+.{digits}f}..{interval[1] * factor:+.{digits}f}]"
    return f"{value * factor:+.{digits}f}{ends}"


def _p(value: float | None) -> str:
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
