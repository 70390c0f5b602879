"""`machine.json`: what was measured on the machine that a plan is made for."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from autoseg.records.base import Part, Record, Shape
from autoseg.records.plan import NetworkSpec


class Throughput(Part):
    """One probe: a network trained for a few steps on a batch of random patches. Seconds are those of a quiet machine."""

    network: NetworkSpec
    patch_size: Shape
    batch_size: PositiveInt
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"  # the quicker one, in which the step was timed
    step_seconds: PositiveFloat  # forward, backward and optimiser
    forward_seconds: PositiveFloat  # of the batch, without gradients
    data_seconds: NonNegativeFloat  # to augment the batch, where that happens in the training process; else 0
    peak_bytes: int | None  # of memory, beyond what the process held before; None where it cannot be told


class MachineProfile(Record):
    """The device, its memory, and training throughput measured by a short probe (none when not probed)."""

    FORMAT: ClassVar[int] = 2
    format: int = 2
    device: Literal["cpu", "cuda", "mps"]
    name: str
    cores: NonNegativeInt
    memory_bytes: PositiveInt
    precision: Literal["float32", "bfloat16", "float16"]
    throughput: tuple[Throughput, ...] = ()
