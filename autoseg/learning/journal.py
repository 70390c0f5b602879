"""The journal of a fold: one JSON line an epoch, lines between them about what happened, and a picture of the curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Protocol

from pydantic import ValidationError

from autoseg.records import Part, write_text

EventKind = Literal["amended", "skipped", "memory", "warning", "extended", "end"]


class EpochLine(Part):
    """What an epoch brought. `dice` is that of validation patches pooled over the epoch (foreground-centred ones
    included), so it shows the trend and is no score; a target without a pixel in them is None.
    """

    epoch: int
    steps: int
    learning_rate: float
    train_loss: float
    validation_loss: float | None
    dice: dict[str, float | None]
    seconds: float
    steps_per_second: float

    @property
    def mean_dice(self) -> float | None:
        """Over the targets that have one."""
        values = [value for value in self.dice.values() if value is not None]
        return sum(values) / len(values) if values else None


class EventLine(Part):
    """Something that a reader of the curves should know. `epoch` counts the epochs that were over when it happened.

    `amended`: the length or another setting was changed; `skipped`: steps were left out (their loss was no number); `memory`:
    less memory than planned; `warning`: the fold may not be learning; `extended`: a finished fold goes on; `end`: trained.
    """

    event: EventKind
    epoch: int
    text: str


class Listener(Protocol):
    """Is told of every line as it is written."""

    def epoch(self, line: EpochLine) -> None:
        """An epoch is over."""

    def event(self, line: EventLine) -> None:
        """Something happened."""


class Journal:
    """Appends lines; `lines` are the epochs and `events` the events written so far.

    Args:
        path: of the file; it is made with the first line.
        listener: told of what is appended from now on.
        writes: False for a process that trains beside the one that writes the file; it remembers the lines all the same.
    """

    def __init__(self, path: Path, listener: Listener | None = None, *, writes: bool = True):
        self.path, self.listener, self.writes = path, listener, writes
        self.lines: list[EpochLine] = []
        self.events: list[EventLine] = []

    def cut_back(self, epochs: int | None) -> None:
        """Keep the first `epochs` epochs and what happened up to their end: those after the checkpoint are trained again.

        None: there is no checkpoint, so nothing is kept.
        """
        if not self.path.exists():
            return
        last = {EpochLine: -1, EventLine: -1} if epochs is None else {EpochLine: epochs - 1, EventLine: epochs}
        kept = [line for line in _lines_of(self.path) if line.epoch <= last[type(line)]]
        self.lines = [line for line in kept if isinstance(line, EpochLine)]
        self.events = [line for line in kept if isinstance(line, EventLine)]
        if self.writes:
            write_text(self.path, "".join(line.model_dump_json() + "\n" for line in kept))

    def append(self, line: EpochLine) -> None:
        """Write an epoch."""
        self.lines.append(line)
        if self._write(line) and self.listener is not None:
            self.listener.epoch(line)

    def note(self, event: EventKind, epoch: int, text: str) -> None:
        """Write an event; one that happens again word for word, as an epoch is trained again, is written once."""
        line = EventLine(event=event, epoch=epoch, text=text)
        if line in self.events:
            return
        self.events.append(line)
        if self._write(line) and self.listener is not None:
            self.listener.event(line)

    def _write(self, line: EpochLine | EventLine) -> bool:
        if self.writes:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line.model_dump_json() + "\n")
        return self.writes


def read_journal(path: Path) -> tuple[list[EpochLine], list[EventLine]]:
    """Epochs and events of a journal that may be written to at this moment; both empty where there is none.

    Lines that cannot be read (cut off while being written, or of another version) are left out.
    """
    lines = _lines_of(path)
    return [line for line in lines if isinstance(line, EpochLine)], [line for line in lines if isinstance(line, EventLine)]


def draw_curves(lines: list[EpochLine], path: Path) -> None:
    """Loss, Dice and learning rate over the epochs, as PNG. Nothing is drawn before the first epoch."""
    if not lines:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    FigureCanvasAgg(figure)
    loss, dice, rate = figure.subplots(3, 1, sharex=True, height_ratios=(2, 2, 1))
    epochs = [line.epoch + 1 for line in lines]
    loss.plot(epochs, [line.train_loss for line in lines], label="training")
    if any(line.validation_loss is not None for line in lines):
        loss.plot(
            epochs,
            [line.validation_loss if line.validation_loss is not None else float("nan") for line in lines],
            label="validation",
        )
    loss.set_ylabel("loss")
    loss.legend()
    for name in lines[-1].dice:
        values = [line.dice.get(name) for line in lines]
        dice.plot(epochs, [float("nan") if value is None else value for value in values], label=name)
    dice.set_ylabel("Dice of validation patches")
    dice.set_ylim(0, 1)
    if len(lines[-1].dice) <= 12:
        dice.legend()
    rate.plot(epochs, [line.learning_rate for line in lines], color="grey")
    rate.set_ylabel("learning rate")
    rate.set_xlabel("epoch")
    temporary = path.with_name(f".{path.name}.part")
    figure.savefig(temporary, dpi=100, format="png")
    temporary.replace(path)


def _lines_of(path: Path) -> list[EpochLine | EventLine]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = (_line_of(line) for line in text.splitlines())
    return [line for line in found if line is not None]


def _line_of(text: str) -> EpochLine | EventLine | None:
    """None for a line that was cut off while being written."""
    try:
        content = json.loads(text)
        kind = EventLine if isinstance(content, dict) and "event" in content else EpochLine
        return kind.model_validate(content)
    except (ValueError, ValidationError):
        return None
