"""How long a piece of work takes on a device, at its quickest."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from autoseg.engines.device import synchronize


def least_seconds(
    work: Callable[[], object], device: torch.device, *, fewest: int = 3, most: int = 3, enough_seconds: float = 0.0
) -> float:
    """Of several runs, after one that warms up (memory, thread pools, compiling). The quickest: what else runs on a machine only adds.

    Args:
        work: what is timed.
        device: that it runs on.
        fewest: runs that are timed at least.
        most: runs that are timed at most.
        enough_seconds: no run begins after these, but for the fewest.
    """
    times: list[float] = []
    while len(times) < 1 + fewest or (len(times) < 1 + most and sum(times) < enough_seconds):
        start = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])
