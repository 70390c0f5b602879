"""What was measured of engines on this machine, kept in the user's cache folder so that it is measured once."""

from __future__ import annotations

import logging
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from platformdirs import user_cache_path

from autoseg.errors import RecordError
from autoseg.records import EngineMemory, EngineSetting, EngineTimes, ParitySetting, RememberedParity

LIBRARIES = ("autoseg-toolkit", "torch", "openvino", "nncf", "onnxruntime", "onnx", "onnxscript")
MOST_REMEMBERED = 200

log = logging.getLogger(__name__)


def cache_file() -> Path:
    """Where the memory lies by the system's custom; XDG_CACHE_HOME moves it on Linux."""
    return user_cache_path("autoseg", appauthor=False) / "engines.json"


def machine_name(device: str = "cpu") -> str:
    """The machine, as far as speed and arithmetic depend on it."""
    name = f"{platform.node()} {platform.processor() or platform.machine()}"
    return f"{name} {torch.cuda.get_device_name(device)}" if device.startswith("cuda") else name


def library_versions() -> dict[str, str]:
    """Of the libraries that run networks, where they are installed."""
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def remembered_times(cache: Path, setting: EngineSetting) -> EngineTimes | None:
    """The measurement of this setting; None where there is none that can be read."""
    return next((times for times in reversed(_memory(cache).times) if times.setting == setting), None)


def remember_times(cache: Path, times: EngineTimes) -> None:
    """Add a measurement to the memory, in the place of an older one of the same setting."""
    memory = _memory(cache)
    others = [other for other in memory.times if other.setting != times.setting]
    _save(memory.model_copy(update={"times": (*others[1 - MOST_REMEMBERED :], times)}), cache)


def remembered_verdicts(cache: Path, setting: ParitySetting) -> dict[str, bool]:
    """By engine whether it passed the comparison with PyTorch in float32."""
    return {one.parity.engine: one.parity.passed for one in _memory(cache).parities if one.setting == setting}


def remember_parity(cache: Path, remembered: RememberedParity) -> None:
    """Add a comparison to the memory, in the place of an older one of the same setting and engine."""
    memory, key = _memory(cache), (remembered.setting, remembered.parity.engine)
    others = [other for other in memory.parities if (other.setting, other.parity.engine) != key]
    _save(memory.model_copy(update={"parities": (*others[1 - MOST_REMEMBERED :], remembered)}), cache)


def _save(memory: EngineMemory, cache: Path) -> None:
    try:
        memory.save(cache)
    except OSError as error:
        log.info("what was measured of the engines cannot be kept in %s (%s); it will be measured again", cache, error)


def _memory(cache: Path) -> EngineMemory:
    try:
        return EngineMemory.load(cache)
    except RecordError as error:
        log.debug("no engines' times: %s", error)
        return EngineMemory()
