"""Folds trained side by side, one on each GPU: every fold is the command line's own `train` in a process of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue

from autoseg.errors import EXIT_SOME_FAILED, CaseError
from autoseg.parallel import Programs
from autoseg.pipeline.fold import TrainOptions
from autoseg.progress import Progress
from autoseg.run_folder import RunFolder

LAST_LINES = 5  # of a failed fold's log, in the message


def visible_devices(device: str, planned: str) -> tuple[str, ...]:
    """The GPUs that folds may be spread over; none where another device, or one of them, is asked for."""
    import torch

    if device not in ("auto", "cuda") or (device == "auto" and planned != "cuda") or not torch.cuda.is_available():
        return ()
    return tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))


def train_on_devices(
    run: RunFolder,
    configuration: str,
    folds: Sequence[str],
    devices: Sequence[str],
    options: TrainOptions,
    extend_seconds: Mapping[str, float | None],
) -> None:
    """Train folds, as many at a time as there are devices; each writes its log to the fold's folder. Some are to be extended.

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
            command = _command(run.root, configuration, fold, device, replace(options, extend_seconds=extend_seconds.get(fold)))
            log = run.train_log(configuration, fold)
            try:
                failure = _failure(programs.run(command, log), log)
            except OSError as error:
                failure = str(error)
            if programs.ending:
                return
            if failure is not None:
                failures[fold] = failure
            _tell(options.progress, fold, failure)

    threads = [threading.Thread(target=work, args=(device,), daemon=True) for device in devices]
    with Programs() as programs:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise CaseError("folds " + ", ".join(sorted(failures)), "; ".join(failures[fold] for fold in sorted(failures)))


def _command(run: Path, configuration: str, fold: str, device: str, options: TrainOptions) -> list[str]:
    command = [sys.executable, "-m", "autoseg", "train", str(run), "--fold", fold, "--configuration", configuration]
    command += ["--device", device]
    for name in options.track:
        command += ["--track", name]
    return command if options.extend_seconds is None else [*command, "--extend", f"{options.extend_seconds}s"]


def _failure(code: int | None, log: Path) -> str | None:
    """None if a fold's training went well, or was not begun; else what its log ends with."""
    if code in (None, 0, EXIT_SOME_FAILED):  # the last: trained, but some of its validation cases failed, which the report tells
        return None
    end = " / ".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LAST_LINES:])
    return f"exit code {code}: {end} (all of it in {log})"


def _tell(progress: Progress, fold: str, failure: str | None) -> None:
    progress.message(f"fold {fold} is trained" if failure is None else f"fold {fold} failed, {failure}")
