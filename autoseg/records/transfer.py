"""What a run took over from another one: in `plan.json` what its folds start from, in `checkpoint.json` what a fold started from."""

from __future__ import annotations

from typing import Literal

from autoseg.records.base import Part


class StartingWeights(Part):
    """Weights of the other run that the training of one fold starts from.

    `seen` counts the cases kept out of the fold's training whose very images those weights were trained on: the fold's
    scores are then too good.
    """

    fold: str  # of this run: "0".."4", or "full"
    source_fold: str
    file: str  # absolute
    sha256: str
    seen: int = 0


class Transfer(Part):
    """The run that a plan took network, patch and grid from (`plan`), and the weights that training starts from (`init`)."""

    mode: Literal["plan", "init"]
    run: str  # absolute
    configuration: str  # of that run
    same_structures: bool  # whether the output layers mean the same there and here; if not, they are not taken
    weights: tuple[StartingWeights, ...] = ()


class InitialWeights(Part):
    """What a fold started from, whatever becomes of the files since."""

    run: str
    configuration: str
    fold: str
    sha256: str
    seen: int = 0  # as in `StartingWeights`
    taken: int  # layers
    fresh: dict[str, str]  # layers that were not taken, and why
