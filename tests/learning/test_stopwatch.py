"""The quickest of several runs: how many are timed, and that the first does not count."""

from __future__ import annotations

import time

import pytest
import torch

from autoseg.learning import stopwatch
from autoseg.learning.stopwatch import least_seconds

CPU = torch.device("cpu")


class Work:
    """Takes the seconds of a list by a clock that is moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *seconds: float):
        self.seconds, self.done, self.now = seconds, 0, 0.0
        monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: self.now)

    def __call__(self) -> None:
        self.now += self.seconds[self.done]
        self.done += 1


def test_the_first_warms_up(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch, 1.0, 5.0, 3.0, 4.0)
    assert least_seconds(work, CPU) == 3.0
    assert work.done == 4


def test_more_runs_while_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(monkeypatch, *[1.0] * 20)
    assert least_seconds(work, CPU, fewest=2, most=12, enough_seconds=5.5) == 1.0
    assert work.done == 6  # five seconds were gone before the last
    work = Work(monkeypatch, *[0.1] * 20)
    least_seconds(work, CPU, fewest=2, most=12, enough_seconds=5.5)
    assert work.done == 13


def test_real_time() -> None:
    assert 0.01 <= least_seconds(lambda: time.sleep(0.01), CPU) < 0.5
