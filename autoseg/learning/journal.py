"""The journal of a fold: one JSON line an epoch, and a picture of the curves."""

from __future__ import annotations

import json
from pathlib import Path

from autoseg.records import Part, write_text


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


class Journal:
    """Appends lines; `lines` is what has been written so far."""

    def __init__(self, path: Path):
        self.path = path
        self.lines: list[EpochLine] = []

    def cut_back(self, epochs: int) -> None:
        """Keep the lines of the first `epochs` epochs: those after the checkpoint are trained again."""
        if self.path.exists():
            kept = [line for line in self.path.read_text(encoding="utf-8").splitlines() if _epoch_of(line) in range(epochs)]
            self.lines = [EpochLine.model_validate_json(line) for line in kept]
            write_text(self.path, "".join(f"{line}\n" for line in kept))

    def append(self, line: EpochLine) -> None:
        """Write a line."""
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line.model_dump_json() + "\n")


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


def _epoch_of(line: str) -> int:
    """The epoch of a line; -1 for one that was cut off while being written."""
    try:
        return int(json.loads(line)["epoch"])
    except (ValueError, KeyError, TypeError):
        return -1
