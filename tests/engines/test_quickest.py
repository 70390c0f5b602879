"""The quickest engine by a clock of the test's own, and the memory of what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from autoseg.engines.candidates import installed_engines, open_engine
from autoseg.engines.quickest import measure, preferred, quickest_engine, setting_here
from autoseg.engines.remembered import remembered_times
from autoseg.records import EngineMemory
from tests.engines.networks import PATCHES, network_of, small_spec

SPEC = small_spec()


class Clock:
    """Stands still but when an engine works."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


class Worker:
    """An engine that takes `seconds` for a tile of a fold, and `stumble` more at its second batch of many."""

    device = torch.device("cpu")
    weights: tuple[str, ...] = ()

    def __init__(self, clock: Clock, seconds: float, n_folds: int = 1, stumble: float = 0.0):
        self.clock, self.seconds, self.n_folds, self.stumble = clock, seconds, n_folds, stumble
        self.sizes: list[int] = []

    def __call__(self, tiles: torch.Tensor) -> Iterator[torch.Tensor]:
        self.sizes.append(len(tiles))
        if len(self.sizes) == 4:
            self.clock.time += self.stumble
        for _ in range(self.n_folds):
            self.clock.time += self.seconds * len(tiles)
            yield tiles

    def buffer_device(self, n_bytes: int) -> torch.device:
        return self.device


def openers(**workers: Any) -> dict[str, Callable[[], Any]]:
    return {name: (lambda worker=worker: worker) for name, worker in workers.items()}


def test_seconds_per_tile_of_one_network_in_turns() -> None:
    clock = Clock()
    slow, fast = Worker(clock, 0.02), Worker(clock, 0.01, n_folds=2)
    seconds, left_out = measure(openers(slow=slow, fast=fast), (3, 1, 4, 4), seconds=100.0, clock=clock)
    assert seconds == pytest.approx({"slow": 0.02, "fast": 0.01}) and left_out == {}
    assert slow.sizes == fast.sizes == [1, 1, 3, *(3,) * 7]


def test_a_disturbed_round_does_not_count() -> None:
    clock = Clock()
    seconds, _ = measure(openers(a=Worker(clock, 0.01, stumble=9.0)), (3, 1, 4, 4), seconds=100.0, clock=clock)
    assert seconds == pytest.approx({"a": 0.01})


def test_time_is_kept() -> None:
    """Two engines of a second a tile in four seconds: single tiles, two rounds."""
    clock = Clock()
    a, b = Worker(clock, 1.0), Worker(clock, 1.0)
    measure(openers(a=a, b=b), (8, 1, 4, 4), seconds=4.0, clock=clock)
    assert a.sizes == b.sizes == [1, 1, 1, 1]


def test_the_hopeless_and_the_broken_are_left_out_with_the_reason() -> None:
    clock = Clock()

    def broken() -> Any:
        raise ImportError("no such library")

    slow = Worker(clock, 0.4)
    workers = {"broken": broken, **openers(slow=slow, fast=Worker(clock, 0.1))}
    seconds, left_out = measure(workers, (2, 1, 4, 4), clock=clock)
    assert list(seconds) == ["fast"]
    assert left_out == {
        "broken": "ImportError: no such library",
        "slow": "one tile took 0.4 s, that of the quickest 0.1 s",
    }
    assert slow.sizes == [1, 1]
    with pytest.raises(ImportError, match="no such library"):
        measure({"broken": broken}, (2, 1, 4, 4), clock=clock)


def test_an_earlier_engine_stays_unless_another_is_clearly_quicker() -> None:
    assert preferred(("a", "b"), {"a": 1.0, "b": 0.96}) == "a"
    assert preferred(("a", "b"), {"a": 1.0, "b": 0.94}) == "b"
    assert preferred(("gone", "a", "b"), {"b": 0.94, "a": 1.0}) == "b"


def test_measured_once_and_remembered_times(tmp_path: Path) -> None:
    clock, cache = Clock(), tmp_path / "cache" / "engines.json"
    setting = setting_here(SPEC, PATCHES[2], 2, ("a", "b"), cores=4, machine="laptop")
    workers = openers(a=Worker(clock, 0.2), b=Worker(clock, 0.1))
    times = quickest_engine(workers, setting, 2, cache=cache, clock=clock, now=lambda: 7.0)
    assert times.chosen == "b" and times.measured == 7.0 and times.seconds_per_tile == pytest.approx({"a": 0.2, "b": 0.1})
    assert quickest_engine({}, setting, 2, cache=cache) == times  # nothing can be opened: it was not measured again
    for change in (
        {"network": "another"},
        {"patch_size": (64, 64)},
        {"batch_size": 3},
        {"cores": 2},
        {"machine": "server"},
        {"versions": {**setting.versions, "torch": "9.9"}},
        {"engines": ("a",)},
        {"device": "cuda"},
    ):
        assert remembered_times(cache, setting.model_copy(update=change)) is None, change


def test_settings_are_remembered_side_by_side_and_replaced_one_by_one(tmp_path: Path) -> None:
    clock, cache = Clock(), tmp_path / "engines.json"
    small, large = (setting_here(SPEC, PATCHES[2], size, ("a",), cores=1, machine="m") for size in (1, 2))
    for moment, setting in enumerate((small, large)):
        quickest_engine(openers(a=Worker(clock, 1.0)), setting, 2, cache=cache, clock=clock, now=lambda moment=moment: moment)
    assert [times.setting for times in EngineMemory.load(cache).times] == [small, large]
    known = remembered_times(cache, small)
    assert known is not None and known.measured == 0.0


@pytest.mark.parametrize("content", ["", "{", '{"format": 1, "times": [{}]}', '{"format": 99}', "\x00\xff"])
def test_a_damaged_memory_is_measured_anew_and_mended(tmp_path: Path, content: str) -> None:
    clock, cache = Clock(), tmp_path / "engines.json"
    cache.write_bytes(content.encode("latin-1"))
    setting = setting_here(SPEC, PATCHES[2], 1, ("a",))
    times = quickest_engine(openers(a=Worker(clock, 1.0)), setting, 2, cache=cache, clock=clock, now=lambda: 1.0)
    assert EngineMemory.load(cache).times == (times,)


def test_a_memory_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    clock, setting = Clock(), setting_here(SPEC, PATCHES[2], 1, ("a",))
    for cache in (tmp_path / "file" / "engines.json", None):
        assert quickest_engine(openers(a=Worker(clock, 1.0)), setting, 2, cache=cache, clock=clock).chosen == "a"


def test_engines_of_this_machine_take_turns() -> None:
    names = [name for name in installed_engines() if name in ("torch-float32", "torch-bfloat16", "openvino-float32")]
    network = network_of(SPEC)
    setting = setting_here(SPEC, PATCHES[2], 2, names)
    workers = {name: (lambda name=name: open_engine(name, SPEC, [network], PATCHES[2], threads=1)) for name in names}
    times = quickest_engine(workers, setting, SPEC.in_channels, cache=None, seconds=0.2)
    assert {*times.seconds_per_tile, *times.left_out} == set(names)
    assert times.chosen in times.seconds_per_tile
