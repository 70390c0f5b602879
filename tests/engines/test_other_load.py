"""What others take of the processor: a busy program beside this one, and none."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from autoseg.engines import other_load as module
from autoseg.engines.other_load import other_load


def test_own_work_is_not_others(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"time": 0.0, "busy": 100.0, "own": 5.0}
    monkeypatch.setattr(module.time, "monotonic", lambda: clock["time"])
    monkeypatch.setattr(module, "_busy_seconds", lambda cores: clock["busy"])
    monkeypatch.setattr(module, "_own_seconds", lambda process: clock["own"])
    with other_load() as load:
        clock |= {"time": 10.0, "busy": 118.0, "own": 20.0}  # 18 s busy in 10 s, 15 of them ours
    assert load.cores == pytest.approx(0.3)


def test_a_busy_neighbour_is_seen() -> None:
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        pytest.skip("this system does not bind processes to cores")
    core = process.cpu_affinity()[0]
    program = f"import psutil; psutil.Process().cpu_affinity([{core}])\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", program]) as neighbour:
        try:
            time.sleep(0.5)
            with other_load() as load:
                time.sleep(1.5)
        finally:
            neighbour.kill()
    assert load.available == len(process.cpu_affinity())
    assert load.cores > 0.5
    assert load.share == pytest.approx(load.cores / load.available)
