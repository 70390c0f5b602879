"""Folds trained side by side, one on each GPU: every fold is the command line's own `train` in a process that sees one device."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from autoseg.errors import CaseError
from autoseg.pipeline.fold import TrainOptions
from autoseg.progress import Progress

LAST_LINES = 5  # of a failed fold's log, in the message
VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_devices(device: str, planned: str) -> tuple[str, ...]:
    """Names of the GPUs that folds may be spread over, as `CUDA_VISIBLE_DEVICES` takes them; none where another device is asked for."""
    import torch

    if device not in ("auto", "cuda") or (device == "auto" and planned != "cuda") or not torch.cuda.is_available():
        return ()
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return tuple(named or map(str, range(torch.cuda.device_count())))


def train_on_devices(run: Path, configuration: str, folds: Sequence[str], devices: Sequence[str], options: TrainOptions) -> None:
    """Train folds, as many at a time as there are devices; each writes its log to the fold's folder.

    Raises:
        CaseError: folds failed; the others were trained all the same. Each is named, with the end of its log.
    """
    waiting: SimpleQueue[str] = SimpleQueue()
    for fold in folds:
        waiting.put(fold)
    failures: dict[str, str] = {}

    def work(device: str) -> None:
        while True:
            try:
                fold = waiting.get_nowait()
            except Empty:
                return
            options.progress.message(f"fold {fold} on device {device}")
            log = run / "models" / configuration / f"fold_{fold}" / "train.log"
            failure = _train(_command(run, configuration, fold, options), device, log)
            if failure is not None:
                failures[fold] = failure
            _tell(options.progress, fold, failure)

    threads = [threading.Thread(target=work, args=(device,), daemon=True) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise CaseError("folds " + ", ".join(sorted(failures)), "; ".join(failures[fold] for fold in sorted(failures)))


def _command(run: Path, configuration: str, fold: str, options: TrainOptions) -> list[str]:
    command = [sys.executable, "-m", "autoseg", "train", str(run), "--fold", fold, "--configuration", configuration]
    command += ["--device", "auto" if options.device == "cuda" else options.device]
    for name in options.track:
        command += ["--track", name]
    return command if options.extend_seconds is None else [*command, "--extend", f"{options.extend_seconds}s"]


def _train(command: Sequence[str], device: str, log: Path) -> str | None:
    """Run it with one device to be seen; None if it went well, else what its log ends with."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        code = subprocess.run(command, env=os.environ | {VISIBLE: device}, stdout=file, stderr=file, check=False).returncode
    if code == 0:
        return None
    end = " / ".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LAST_LINES:])
    return f"exit code {code}: {end} (all of it in {log})"


def _tell(progress: Progress, fold: str, failure: str | None) -> None:
    progress.message(f"fold {fold} is trained" if failure is None else f"fold {fold} failed, {failure}")
