"""Which engine runs the networks of a prediction: the one that is asked for, or the quickest here that agrees with PyTorch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from autoseg.engines import Engine
from autoseg.engines.candidates import CANDIDATES, installed_engines, open_engine, refuse_unusable
from autoseg.engines.quickest import quickest_engine, setting_here
from autoseg.engines.remembered import (
    cache_file,
    library_versions,
    machine_name,
    remember_parity,
    remembered_times,
    remembered_verdicts,
)
from autoseg.errors import PlanError
from autoseg.inference.networks import CheckedEngines, Choice, Networks, told
from autoseg.inference.profiles import applied_as
from autoseg.progress import Progress
from autoseg.records import Configuration, Parity, ParitySetting, RememberedParity

AUTO = "auto"
REFERENCE = "torch-float32"
# Integers change masks more than rounding does, and ONNX Runtime takes 7 to 13 s a fold to open: by name alone.
BY_NAME_ONLY = ("openvino-int8", "onnxruntime-float32")

FEWEST = 10  # cases for which it pays to measure and to compare; the reference does fewer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineWish:
    """What the user says about the engine.

    Args:
        name: `auto`, or one of `engines.candidates.CANDIDATES`.
        cache: the file that remembers measurements; None neither reads nor writes one.
    """

    name: str = AUTO
    cache: Path | None = field(default_factory=cache_file)

    def __post_init__(self) -> None:
        if self.name not in (AUTO, *CANDIDATES):
            raise PlanError(f"there is no engine {self.name}; there are {AUTO}, {', '.join(CANDIDATES)}")


def networks_for(
    configuration: Configuration,
    weights: Sequence[tuple[Path, str]],
    device: torch.device,
    wish: EngineWish,
    calibration: Callable[[], Iterable[torch.Tensor]],
    progress: Progress,
) -> Networks:
    """The networks of a configuration's folds, opened once there is something to segment.

    Args:
        configuration: with the inference profile applied.
        weights: for each fold its safetensors file and SHA-256.
        device: where to run.
        wish: which engine.
        calibration: makes batches of tiles for an engine that computes with integers.
        progress: listener.

    Raises:
        PlanError: the engine is not installed, or not of this device.
    """
    hashes = tuple(sha256 for _, sha256 in weights)
    opening = partial(open_engine, spec=configuration.network, patch_size=configuration.training.patch_size, device=device)
    if wish.name != AUTO:
        refuse_unusable(wish.name, device)
        named = partial(opening, wish.name, folds=weights)
        return CheckedEngines(lambda _: Choice({wish.name: _calibrated(wish.name, named, calibration)}), hashes, device)
    setting = ParitySetting(
        weights=hashes,
        inference=applied_as(configuration),
        device=str(device),
        machine=machine_name(str(device)),
        versions=library_versions(),
    )

    def settle(parity: Parity) -> None:
        progress.message(told(parity))
        if wish.cache is not None:
            remember_parity(wish.cache, RememberedParity(setting=setting, measured=time.time(), parity=parity))

    def choose(n_cases: int) -> Choice:
        verdicts = {} if wish.cache is None else remembered_verdicts(wish.cache, setting)
        names = _by_speed(configuration, weights[:1], device, wish.cache, n_cases, verdicts, progress)
        return Choice({name: partial(opening, name, folds=weights) for name in names}, verdicts)

    return CheckedEngines(choose, hashes, device, settle)


def _by_speed(
    configuration: Configuration,
    weights: Sequence[tuple[Path, str]],
    device: torch.device,
    cache: Path | None,
    n_cases: int,
    verdicts: dict[str, bool],
    progress: Progress,
) -> list[str]:
    """Engines to try, the quickest first and the reference last; the reference alone where trying does not pay."""
    names = [name for name in installed_engines(device) if name not in BY_NAME_ONLY]
    patch, batch = configuration.training.patch_size, configuration.inference.tile_batch_size
    setting = setting_here(configuration.network, patch, batch, names, str(device))
    known = None if cache is None else remembered_times(cache, setting)
    if len(names) == 1 or (n_cases < FEWEST and not (known and any(verdicts.values()))):
        return [REFERENCE]
    if known is None:
        progress.message(f"measuring which of {', '.join(names)} is quickest here")
    openers = {name: partial(open_engine, name, configuration.network, weights, patch, device=device) for name in names}
    times = quickest_engine(openers, setting, configuration.network.in_channels, cache=cache)
    log.info("seconds per tile: %s", ", ".join(f"{name} {taken:.3g}" for name, taken in times.seconds_per_tile.items()))
    seconds = {name: taken for name, taken in times.seconds_per_tile.items() if name != times.chosen}
    order = [times.chosen, *sorted(seconds, key=lambda name: seconds[name])]
    return [*order[: order.index(REFERENCE)], REFERENCE] if REFERENCE in order else [*order, REFERENCE]


def _calibrated(
    name: str, opener: Callable[..., Engine], calibration: Callable[[], Iterable[torch.Tensor]]
) -> Callable[[], Engine]:
    return (lambda: opener(calibration=calibration())) if CANDIDATES[name].precision == "int8" else opener
