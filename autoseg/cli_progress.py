"""Progress as the command line shows it, on standard error: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as LiveBar

from autoseg.cli_values import duration
from autoseg.progress import Progress

SECONDS_BETWEEN_LINES = 10.0  # keeps the log of a night's training readable
SPEED_WINDOW_SECONDS = 300.0  # epochs are slow; a short window would forget them all


@contextmanager
def shown_progress(console: Console) -> Iterator[Progress]:
    """A listener that fits the console: bars on a terminal, lines in a file or a pipe."""
    if not console.is_terminal:
        yield PlainProgress(lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with LiveBar(*columns, console=console, speed_estimate_period=SPEED_WINDOW_SECONDS) as bars:
        yield RichProgress(bars)


class RichProgress:
    """One bar per stage; bars of stages that are over stay on the screen, full."""

    def __init__(self, bars: LiveBar):
        self._bars = bars
        self._task: TaskID | None = None

    def stage(self, name: str, total: int | None = None) -> None:
        """Close the bar before and open a new one."""
        if self._task is not None:
            task = self._bars.tasks[self._bars.task_ids.index(self._task)]
            self._bars.update(self._task, total=task.total or task.completed or 1, completed=task.total or task.completed or 1)
            self._bars.stop_task(self._task)
        self._task = self._bars.add_task(name, total=total, text="")

    def advance(self, done: int, text: str = "") -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.update(self._task, completed=done, text=text)

    def message(self, text: str) -> None:
        """Print above the bars."""
        self._bars.console.print(text, markup=False, highlight=False)


class PlainProgress:
    """A line when a stage begins, when it is complete, and at most every `SECONDS_BETWEEN_LINES` in between.

    Args:
        write: takes one line.
        clock: seconds, monotonic.
    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        self._write = write
        self._clock = clock
        self._name = ""
        self._total: int | None = None
        self._last_line = clock()
        self._first: tuple[int, float] | None = None

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin."""
        self._name, self._total = name, total
        self._last_line, self._first = self._clock(), None
        self._write(name)

    def advance(self, done: int, text: str = "") -> None:
        """Write a line if the last one is old enough, or the stage is complete."""
        now = self._clock()
        self._first = self._first or (done, now)
        if now - self._last_line < SECONDS_BETWEEN_LINES and done != self._total:
            return
        self._last_line = now
        count = f"{done}" if self._total is None else f"{done}/{self._total}"
        left = self._left(done, now)
        self._write(", ".join(part for part in (f"{self._name}: {count}", text, left) if part))

    def message(self, text: str) -> None:
        """Write it."""
        self._write(text)

    def _left(self, done: int, now: float) -> str:
        """From the pace since the first sign of progress: a stage that is continued does not begin at zero."""
        first, since = self._first or (done, now)
        if self._total is None or not first < done < self._total:
            return ""
        return f"{duration((now - since) / (done - first) * (self._total - done))} left"
