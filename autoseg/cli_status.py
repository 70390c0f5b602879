"""The verb `status`: how far the folds of a run are, once or again and again, as a table or as JSON."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoseg.cli_console import results_console, show, stopping_in_words
from autoseg.cli_options import RunArgument
from autoseg.cli_values import duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from autoseg.pipeline.status import FoldStatus, RunStatus

SECONDS_BETWEEN_LOOKS = 10.0
LOOKS_WHEN_OVER = 3  # between two folds of `train --fold all` nothing is at work for a moment
BARS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 16


def status(
    context: typer.Context,
    run: RunArgument,
    configuration: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the plan. [default: the plan's, and what has begun of the others]")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until all that has begun is done.")] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="Between two looks of --watch.")
    ] = SECONDS_BETWEEN_LOOKS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; with --watch one line for every look.")] = False,
) -> None:
    """Show how far every fold is, from any terminal.

    Ctrl-C ends --watch, not the training.
    """
    if as_json:
        with stopping_in_words(context):
            for found in _looks(run, configuration, every if watch else None):
                typer.echo(json.dumps(asdict(found), indent=None if watch else 1))
        return
    with stopping_in_words(context):  # no bars: they would wipe the last line of what is watched
        console = results_console()
        if watch:
            _watch(console, run, configuration, every)
        else:
            show(console, status_report(next(_looks(run, configuration, None)), unicode=_draws_bars(console)))


def status_report(found: RunStatus, *, unicode: bool = True) -> list[RenderableType]:
    """A row per fold, then what there is to say about single ones; `unicode`: whether the output can show the small bars."""
    from autoseg.cli_tables import add_columns, new_table

    several = len({fold.configuration for fold in found.folds}) > 1
    table = new_table(str(found.run))
    words = [*(["configuration"] if several else []), "fold", "state"]
    add_columns(table, words, ["epoch", "Dice of patches"])
    add_columns(table, [*(["so far"] if unicode else []), "Dice of whole images"], ["steps/s", "trained", "left", "last sign"])
    for fold in found.folds:
        row = [*([fold.configuration] if several else []), fold.fold, fold.state, f"{fold.epoch}/{fold.epochs}"]
        row += [_patches(fold), *([sparkline(fold.history)] if unicode else []), _whole(fold)]
        row += ["-" if fold.steps_per_second is None else f"{fold.steps_per_second:.2f}", _time(fold.seconds or None)]
        row += [_time(fold.seconds_left), "-" if fold.silent_seconds is None else f"{duration(fold.silent_seconds)} ago"]
        table.add_row(*row)
    parts: list[RenderableType] = [table]
    for fold in found.folds:
        name = f"{fold.configuration}, fold {fold.fold}" if several else f"fold {fold.fold}"
        if fold.last_event is not None and fold.last_event not in fold.warnings:
            parts.append(f"{name}: {fold.last_event}")
        if fold.warnings:
            parts.append(f"warning: {name}: {'; '.join(fold.warnings)}")
    return parts


def sparkline(values: Sequence[float], width: int = SPARKLINE_WIDTH) -> str:
    """Dice from 0 to 1 as a row of bars: each the mean of its share of the values, the last ones to the right."""
    if not values:
        return ""
    count = min(width, len(values))
    bounds = [round(index * len(values) / count) for index in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(bounds)]
    return "".join(BARS[min(len(BARS) - 1, max(0, int(mean * len(BARS))))] for mean in means)


def _looks(run: Path, configuration: str | None, every: float | None) -> Iterator[RunStatus]:
    """One look, or one after another until all is done or the reader has seen enough."""
    from autoseg.pipeline.status import status as read_status

    over = 0
    try:
        while True:
            found = read_status(run, configuration=configuration)
            yield found
            over = over + 1 if found.over else 0
            if every is None or over >= LOOKS_WHEN_OVER:
                return
            time.sleep(every)
    except KeyboardInterrupt:
        return


def _watch(console: Console, run: Path, configuration: str | None, every: float) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    def drawn(found: RunStatus) -> Group:
        parts = status_report(found, unicode=_draws_bars(console))
        return Group(*(Text(part) if isinstance(part, str) else part for part in parts))

    if not console.is_terminal:
        for found in _looks(run, configuration, every):
            show(console, status_report(found, unicode=_draws_bars(console)))
        return
    with Live(console=console, auto_refresh=False) as live:
        for found in _looks(run, configuration, every):
            live.update(drawn(found), refresh=True)


def _draws_bars(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")


def _patches(fold: FoldStatus) -> str:
    """The mean, and each structure where there are several."""
    if fold.mean_dice is None:
        return "-"
    rows = [f"{fold.mean_dice:.3f}"]
    if len(fold.dice) > 1:
        rows += [f"{name} {'-' if value is None else f'{value:.3f}'}" for name, value in fold.dice.items()]
    return "\n".join(rows)


def _whole(fold: FoldStatus) -> str:
    if fold.score is None:
        return "-"
    rows = [f"{fold.score:.3f}"] if len(fold.scores) > 1 else []
    for name, found in fold.scores.items():
        dice = "-" if found.dice is None else f"{found.dice:.3f}"
        interval = "" if found.interval is None else f" [{found.interval[0]:.3f}..{found.interval[1]:.3f}]"
        rows.append(f"{name} {dice}{interval}" if len(fold.scores) > 1 else f"{dice}{interval}")
    return "\n".join(rows)


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)
