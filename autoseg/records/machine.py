"""`machine.json`: what was measured on the machine that a plan is made for."""

from __future__ import annotations

from typing import Literal

from autoseg.records.base import Part, Record, Shape


class Throughput(Part):
    """One probe: a network of `base_features` on a batch of patches; seconds per training step and per forward pass."""

    rank: Literal[2, 3]
    base_features: int
    n_stages: int
    patch_size: Shape
    batch_size: int
    work: float  # multiply-adds of one forward pass of the batch, see networks.cost
    step_seconds: float
    forward_seconds: float


class MachineProfile(Record):
    """The device, its memory, and training throughput measured by a short probe (none when not probed)."""

    device: Literal["cpu", "cuda", "mps"]
    name: str
    cores: int
    memory_bytes: int
    precision: Literal["float32", "bfloat16", "float16"]
    throughput: tuple[Throughput, ...] = ()
