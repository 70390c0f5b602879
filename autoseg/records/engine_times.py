"""`engines.json` in the user's cache folder: how quick the engines were on this machine, so that it is measured once."""

from __future__ import annotations

from typing import ClassVar

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

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


class EngineMemory(Record):
    """All measurements, the latest last."""

    FORMAT: ClassVar[int] = 1
    times: tuple[EngineTimes, ...] = ()
