"""`plans/benchmarks.json`: how fast known machines are on known data; what `autoseg benchmark` measures has the same form."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from autoseg.records.base import Part, Record, Shape


class SpeedFigures(Part):
    """One configuration on one machine.

    `multiply_adds` are those of a forward pass of one sample (convolutions, `networks/cost.py`): with them machines that were
    measured on different plans can be compared. `seconds_per_case`: reading, predicting and writing a case, with the plan's
    mirroring.
    """

    machine: str
    cores: PositiveInt
    device: Literal["cpu", "cuda", "mps"]
    precision: Literal["float32", "bfloat16", "float16"]
    dataset: str
    configuration: str
    patch_size: Shape
    batch_size: PositiveInt
    width: PositiveInt  # features of the first stage
    multiply_adds: PositiveFloat
    steps_per_second: PositiveFloat
    samples_per_second: PositiveFloat
    seconds_per_case: NonNegativeFloat | None
    peak_bytes: int | None
    load: NonNegativeFloat | None = None  # processes that wanted a core, the minute before; more than a few spoil the figures

    @property
    def rate(self) -> float:
        """Multiply-adds of the forward pass per second of training."""
        return self.samples_per_second * self.multiply_adds

    def is_same_work(self, other: SpeedFigures) -> bool:
        """Whether both were measured on the same plan, as far as speed goes."""
        names = ("dataset", "patch_size", "batch_size", "width", "multiply_adds")
        return all(getattr(self, name) == getattr(other, name) for name in names)


class Benchmarks(Record):
    """Figures of known machines, each with the command that it came from."""

    command: str
    figures: tuple[SpeedFigures, ...]
