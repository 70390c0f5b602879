"""What other programs take of the processor while something is measured."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

IDLE = (
    "idle",
    "iowait",
    "guest",
    "guest_nice",
)  # the guests' time is contained in `user`; what the host takes (`steal`) counts as others'


@dataclass
class OtherLoad:
    """Processor cores that others kept busy, on average, of the `available` ones that this process may use."""

    cores: float = 0.0
    available: int = 1

    @property
    def share(self) -> float:
        """Of the available cores."""
        return self.cores / self.available


@contextlib.contextmanager
def other_load() -> Iterator[OtherLoad]:
    """Watch, while the body runs; the result stands when it has ended. Children of this process count as others."""
    process = psutil.Process()
    mine = process.cpu_affinity() if hasattr(process, "cpu_affinity") else None
    load = OtherLoad(available=len(mine) if mine is not None else psutil.cpu_count() or 1)
    begin, busy, own = time.monotonic(), _busy_seconds(mine), _own_seconds(process)
    yield load
    seconds = max(time.monotonic() - begin, 1e-6)
    taken = (_busy_seconds(mine) - busy) - (_own_seconds(process) - own)
    load.cores = min(max(taken / seconds, 0.0), float(load.available))


def _busy_seconds(cores: list[int] | None) -> float:
    times = psutil.cpu_times(percpu=True)
    chosen = times if cores is None else [times[core] for core in cores if core < len(times)]
    return sum(seconds for core in chosen for kind, seconds in core._asdict().items() if kind not in IDLE)


def _own_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
