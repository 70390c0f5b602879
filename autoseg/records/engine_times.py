"""`engines.json` in the user's cache folder: how quick engines were on this machine and how well they agreed, measured once.

It names no case and no path.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from autoseg.records.base import Part, Record, Shape


class EngineSetting(Part):
    """All that the quickest engine depends on; another setting is measured anew."""

    network: str  # digest of the `NetworkSpec`
    patch_size: Shape
    batch_size: PositiveInt  # tiles per forward pass
    engines: tuple[str, ...]  # that could be chosen from
    device: str
    cores: NonNegativeInt
    machine: str
    versions: dict[str, str]  # of the libraries that are installed


class EngineTimes(Part):
    """One measurement."""

    setting: EngineSetting
    measured: float  # seconds since 1970
    seconds_per_tile: dict[str, PositiveFloat]  # of one network, by engine
    left_out: dict[str, str]  # engines that failed or were far too slow, and why
    chosen: str


class Parity(Part):
    """How the masks of an engine differ from those of PyTorch in float32, over some cases with foreground.

    `foreground` are the pixels that either calls foreground, `differing` those whose labels differ. `largest_mm` is the largest
    difference of a measurement (see `inference.parity`); None where no pixel size is known.
    """

    engine: str
    n_cases: PositiveInt
    foreground: NonNegativeInt
    differing: NonNegativeInt
    largest_mm: NonNegativeFloat | None = None
    passed: bool


class ParitySetting(Part):
    """All that a comparison holds for, beside the engine."""

    weights: tuple[str, ...]  # SHA-256 of each fold's
    inference: str  # how the networks are applied
    device: str
    machine: str
    versions: dict[str, str]


class RememberedParity(Part):
    """One comparison."""

    setting: ParitySetting
    measured: float
    parity: Parity


class EngineMemory(Record):
    """All measurements, the latest last."""

    FORMAT: ClassVar[int] = 1
    times: tuple[EngineTimes, ...] = ()
    parities: tuple[RememberedParity, ...] = ()
