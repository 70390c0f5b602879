"""Which engine is quickest for a network on this machine: measured in a few seconds, and remembered in the user's cache folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import torch

from autoseg.engines import Engine
from autoseg.engines.remembered import library_versions, machine_name, remember_times, remembered_times
from autoseg.parallel import available_cores
from autoseg.records import EngineSetting, EngineTimes, NetworkSpec, Shape

LEAST_GAIN = 0.95  # of an earlier engine's time; less is within the noise, and the earlier one stays
HOPELESS = 3.0  # times the quickest warm-up: an engine that slow is not measured further
MOST_ROUNDS = 7

Openers = Mapping[str, Callable[[], Engine]]


def setting_here(
    spec: NetworkSpec,
    patch_size: Shape,
    batch_size: int,
    engines: Sequence[str],
    device: str = "cpu",
    *,
    cores: int | None = None,
    machine: str | None = None,
) -> EngineSetting:
    """What a measurement on this machine holds for; `engines` are the names to choose from, in order of preference."""
    return EngineSetting(
        network=spec.digest(),
        patch_size=tuple(patch_size),
        batch_size=batch_size,
        engines=tuple(engines),
        device=device,
        cores=available_cores() if cores is None else cores,
        machine=machine or machine_name(device),
        versions=library_versions(),
    )


def quickest_engine(
    openers: Openers,
    setting: EngineSetting,
    in_channels: int,
    *,
    cache: Path | None,
    seconds: float = 4.0,
    clock: Callable[[], float] = time.perf_counter,
    now: Callable[[], float] = time.time,
) -> EngineTimes:
    """The measurement for a setting: the remembered one, else a new one, which is then remembered.

    Args:
        openers: by name of the setting, what opens an engine; those of one fold suffice.
        setting: see `setting_here`.
        in_channels: C of the tiles.
        cache: the file of the memory; None neither reads nor writes one. A damaged or unwritable one is passed over.
        seconds: how long to measure, opening the engines not counted.
        clock: seconds on any scale.
        now: seconds since 1970.

    Raises:
        Exception: that of the first engine, if none works.
    """
    if cache is not None and (known := remembered_times(cache, setting)) is not None:
        return known
    shape = (setting.batch_size, in_channels, *setting.patch_size)
    per_tile, left_out = measure({name: openers[name] for name in setting.engines}, shape, seconds=seconds, clock=clock)
    times = EngineTimes(
        setting=setting, measured=now(), seconds_per_tile=per_tile, left_out=left_out, chosen=preferred(setting.engines, per_tile)
    )
    if cache is not None:
        remember_times(cache, times)
    return times


def measure(
    openers: Openers, shape: Shape, *, seconds: float = 4.0, clock: Callable[[], float] = time.perf_counter
) -> tuple[dict[str, float], dict[str, str]]:
    """Time every engine on random tiles (B, C, *patch), in turns, so that what else the machine does meets all alike.

    Every engine warms up on one tile. Those that are not hopeless then take turns, with as many tiles at once, up to B, as
    leave time for three rounds; one round is always made.

    Returns:
        Seconds per tile and network (the median round) by engine, and why the others were left out.

    Raises:
        Exception: that of the first engine, if none works.
    """
    tiles = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    engines, alone, left_out = _warmed_up(openers, tiles[:1], clock)
    least = min(alone.values())
    for name in [name for name, taken in alone.items() if taken > HOPELESS * least]:
        left_out[name] = f"one tile took {alone[name]:.3g} s, that of the quickest {least:.3g} s"
        del engines[name]
    round_of_one = sum(alone[name] for name in engines)
    some = tiles[: max(1, int(seconds / (4 * round_of_one)))]
    until = clock() + seconds
    if len(some) > 1:
        for engine in engines.values():
            _seconds_per_tile(engine, some, clock)  # the first batch of another size makes room for itself
    rounds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(MOST_ROUNDS):
        for name, engine in engines.items():
            rounds[name].append(_seconds_per_tile(engine, some, clock))
        if clock() >= until:
            break
    return {name: median(taken) for name, taken in rounds.items()}, left_out


def preferred(names: Sequence[str], seconds_per_tile: Mapping[str, float]) -> str:
    """The first of the names than which no other is quicker by more than noise."""
    least = min(seconds_per_tile.values())
    return next(name for name in names if LEAST_GAIN * seconds_per_tile.get(name, float("inf")) <= least)


def _warmed_up(
    openers: Openers, tile: torch.Tensor, clock: Callable[[], float]
) -> tuple[dict[str, Engine], dict[str, float], dict[str, str]]:
    """Engines that work, with the seconds that one tile takes, and what the others said."""
    engines, alone, left_out = {}, {}, {}
    first: Exception | None = None
    for name, opener in openers.items():
        try:
            engine = opener()
            _seconds_per_tile(engine, tile, clock)
            alone[name] = _seconds_per_tile(engine, tile, clock)
            engines[name] = engine
        except Exception as error:  # whatever a library throws: another engine will do
            first = first or error
            left_out[name] = f"{type(error).__name__}: {str(error).strip()[:200]}"
    if first is not None and not engines:
        raise first
    return engines, alone, left_out


def _seconds_per_tile(engine: Engine, tiles: torch.Tensor, clock: Callable[[], float]) -> float:
    """Of one network, on the engine's device; at least a nanosecond, as a clock may be coarse."""
    placed = tiles.to(engine.device)
    begin = clock()
    for logits in engine(placed):
        logits[(0,) * logits.ndim].item()  # waits for a GPU
    return max(clock() - begin, 1e-9) / (len(tiles) * engine.n_folds)
