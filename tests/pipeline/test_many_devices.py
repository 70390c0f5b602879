"""Folds side by side: every fold once, as many at a time as there are devices, and failures named."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from autoseg.errors import CaseError
from autoseg.pipeline import many_devices
from autoseg.pipeline.fold import TrainOptions
from autoseg.pipeline.many_devices import train_on_devices, visible_devices
from autoseg.progress import SilentProgress
from autoseg.run_folder import RunFolder

WORKER = "import sys, time; time.sleep(0.2); print('{device}'); sys.exit({code})"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that would have been run; a short process stands in for each, and fails for fold 2."""
    commands: list[list[str]] = []
    lock, command_of = threading.Lock(), many_devices._command

    def command(run: Path, configuration: str, fold: str, device: str, options: TrainOptions) -> list[str]:
        with lock:
            commands.append(command_of(run, configuration, fold, device, options))
        return [sys.executable, "-c", WORKER.format(device=device, code=3 if fold == "2" else 0)]

    monkeypatch.setattr(many_devices, "_command", command)
    return commands


def test_every_fold_once_and_failures_named(tmp_path: Path, started: list[list[str]]) -> None:
    options = TrainOptions(device="cuda", track=("tensorboard",))
    with pytest.raises(CaseError, match=r"folds 2: exit code 3: cuda:[01] .all of it in"):
        train_on_devices(RunFolder(tmp_path), "2d", ["0", "1", "2", "3"], ["cuda:0", "cuda:1"], options, {"0": 90.0})
    assert sorted(command[command.index("--fold") + 1] for command in started) == ["0", "1", "2", "3"]
    for command in started:
        assert command[command.index("--track") + 1] == "tensorboard"
        assert "--extend" not in command or command[-2:] == ["--extend", "90.0s"]
        assert ("--extend" in command) == (command[command.index("--fold") + 1] == "0")
    logs = [(tmp_path / "models" / "2d" / f"fold_{fold}" / "train.log").read_text().strip() for fold in range(4)]
    assert set(logs) == {"cuda:0", "cuda:1"}, "both devices had work"


def test_only_gpus_are_spread_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert visible_devices("auto", "cuda") == visible_devices("cuda", "cpu") == ("cuda:0", "cuda:1")
    assert visible_devices("cpu", "cuda") == ()
    assert visible_devices("cuda:1", "cuda") == ()
    assert visible_devices("auto", "cpu") == ()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert visible_devices("auto", "cuda") == ()


def test_nothing_is_told_of_folds_that_an_end_prevented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    class Listening(SilentProgress):
        def message(self, text: str) -> None:
            heard.append(text)
            if len(heard) == 1:
                threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()

    monkeypatch.setattr(many_devices, "_command", lambda *_: [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(SystemExit) as end:
        train_on_devices(RunFolder(tmp_path), "2d", ["0", "1"], ["cuda:0"], TrainOptions(progress=Listening()), {})
    assert end.value.code == 128 + signal.SIGTERM
    time.sleep(0.5)
    assert heard == ["fold 0 on device cuda:0"]
    assert not (tmp_path / "models" / "2d" / "fold_1").exists()
