"""How far the folds of a run are, read from its files alone: from any terminal, while they train, without torch."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from autoseg.errors import RecordError, RunFolderError
from autoseg.learning.journal import EpochLine, EventLine, read_journal
from autoseg.learning.sign_of_life import is_at_work
from autoseg.pipeline.trained import is_validated
from autoseg.records import FoldCheckpoint, Plan
from autoseg.run_folder import RunFolder

State = Literal["not begun", "training", "validating", "stopped", "trained", "validated"]
RECENT_EPOCHS = 6  # whose median tells how long the next ones will take
LATE = 5.0  # usual epoch times without a line, after which a process that is there is asked about
LATE_SECONDS = 120.0  # and at least this long: an epoch may be followed by a checkpoint


@dataclass(frozen=True)
class StructureDice:
    """Dice of one structure on whole images, with its 95 % interval over subjects where one can be told."""

    dice: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class FoldStatus:
    """One fold of one configuration.

    Attributes:
        configuration: its name.
        fold: `0`.. or `full`.
        state: `training` and `validating`: a process is at work; `stopped`: none is, and epochs are left; `trained`: all epochs
            are done, without scores of whole images; `validated`: with them.
        epoch: epochs done. Of a stopped fold those of its checkpoint, where it will go on.
        epochs: of the schedule, as amended so far.
        dice: of validation patches after the last epoch, by target.
        mean_dice: over the targets.
        history: `mean_dice` after every epoch that has one.
        score: mean Dice on whole images; None before validation.
        scores: the same by structure.
        steps_per_second: in the last epoch.
        seconds: trained so far.
        seconds_left: for the epochs left, at the median pace of the last six; the whole-image validation comes on top. None
            before the first epoch, and when no epoch is left.
        silent_seconds: since the last line of the journal or checkpoint; None where there is neither.
        last_event: what the journal says happened last.
        warnings: sentences.
    """

    configuration: str
    fold: str
    state: State
    epoch: int
    epochs: int
    dice: dict[str, float | None]
    mean_dice: float | None
    history: tuple[float, ...]
    score: float | None
    scores: dict[str, StructureDice]
    steps_per_second: float | None
    seconds: float
    seconds_left: float | None
    silent_seconds: float | None
    last_event: str | None
    warnings: tuple[str, ...]

    @property
    def at_work(self) -> bool:
        """Whether a process works on it."""
        return self.state in ("training", "validating")


@dataclass(frozen=True)
class RunStatus:
    """All folds of the configurations asked for."""

    run: str
    default: str
    folds: tuple[FoldStatus, ...]

    @property
    def over(self) -> bool:
        """Whether something was trained, nothing is being trained, and nothing stopped half-way."""
        begun = [fold for fold in self.folds if fold.state != "not begun"]
        return bool(begun) and all(fold.state in ("trained", "validated") for fold in begun)


def status(run: str | Path, *, configuration: str | None = None) -> RunStatus:
    """How far every fold of a run is; nothing is changed.

    A fold is `training` while the process lives that claims it in `running.json` (see `learning/sign_of_life.py`).

    Args:
        run: folder made by `plan`.
        configuration: of the plan; None takes the default one with all its folds, and the begun folds of the others.

    Raises:
        RunFolderError: no run, or no such configuration.
    """
    folder = RunFolder.open(Path(run))
    plan = folder.plan()
    if configuration is not None and configuration not in plan.configurations:
        raise RunFolderError(f"the plan has no configuration {configuration}; it has {', '.join(plan.configurations)}")
    numbered = tuple(str(index) for index in range(len(folder.splits().folds)))
    now = time.time()
    found = []
    for name in [configuration] if configuration else plan.configurations:
        begun = folder.begun_folds(name)
        listed = dict.fromkeys((*numbered, *begun)) if name in (configuration, plan.default) else begun
        found += _beside_siblings([_fold_status(folder, plan, name, fold, now) for fold in listed])
    return RunStatus(str(folder.root), plan.default, tuple(found))


def _fold_status(folder: RunFolder, plan: Plan, name: str, fold: str, now: float) -> FoldStatus:
    lines, events = read_journal(folder.journal(name, fold))
    checkpoint, warnings = _checkpoint(folder.checkpoint(name, fold))
    working = is_at_work(folder.running(name, fold), now=now)
    score, scores = _scores(folder.fold_scores(name, fold))
    finished = checkpoint is not None and checkpoint.finished
    if finished and checkpoint is not None and checkpoint.extensions and not is_validated(folder, name, fold, checkpoint):
        score, scores = None, {}  # of the weights before an extension
    begun = bool(lines) or checkpoint is not None
    state = _state(working=working, begun=begun, finished=finished, scored=score is not None)
    saved = checkpoint.epoch if checkpoint else 0
    if state == "stopped":  # epochs after the checkpoint will be trained again
        lines = [line for line in lines if line.epoch < saved]
    epoch = max(saved, lines[-1].epoch + 1 if lines else 0)
    epochs = max(epoch, checkpoint.epochs if checkpoint else plan.configurations[name].training.epochs)
    pace = statistics.median(line.seconds for line in lines[-RECENT_EPOCHS:]) if lines else None
    silent = _silent_seconds((folder.journal(name, fold), folder.checkpoint(name, fold)), now)
    if state == "training" and pace is not None and silent is not None and silent > max(LATE * pace, LATE_SECONDS):
        warnings.append(f"no epoch has ended for {silent:.0f} s, though one takes {pace:.0f} s: is its process held up?")
    return FoldStatus(
        configuration=name,
        fold=fold,
        state=state,
        epoch=epoch,
        epochs=epochs,
        dice=dict(lines[-1].dice) if lines else {},
        mean_dice=lines[-1].mean_dice if lines else None,
        history=tuple(line.mean_dice for line in lines if line.mean_dice is not None),
        score=score,
        scores=scores,
        steps_per_second=lines[-1].steps_per_second if lines else None,
        seconds=(checkpoint.seconds if checkpoint else 0.0) + sum(line.seconds for line in lines if line.epoch >= saved),
        seconds_left=pace * (epochs - epoch) if pace is not None and epochs > epoch else None,
        silent_seconds=silent,
        last_event=events[-1].text if events else None,
        warnings=(*warnings, *_told(events, lines)),
    )


def _state(*, working: bool, begun: bool, finished: bool, scored: bool) -> State:
    if working:
        return "validating" if finished else "training"
    if not begun:
        return "not begun"
    if not finished:
        return "stopped"
    return "validated" if scored else "trained"


def _told(events: Sequence[EventLine], lines: Sequence[EpochLine]) -> list[str]:
    """The journal's last warning; none where the fold learnt something after it."""
    told = [event for event in events if event.event == "warning"]
    if not told:
        return []
    after = [line.mean_dice for line in lines if line.epoch >= told[-1].epoch and line.mean_dice is not None]
    before = [line.mean_dice for line in lines if line.epoch < told[-1].epoch and line.mean_dice is not None]
    recovered = bool(after) and after[-1] > 2 * max(before, default=0.0) + 0.1
    return [] if recovered else [told[-1].text]


def _beside_siblings(folds: list[FoldStatus]) -> list[FoldStatus]:
    """Add to a fold's warnings what its siblings had at the same share of their epochs."""
    compared = []
    for fold in folds:
        others = [(other.fold, at) for other in folds if other.fold != fold.fold and (at := _dice_at(other, fold)) is not None]
        if fold.warnings and fold.mean_dice is not None and others:
            names, dice = zip(*others, strict=True)
            beside = f"its Dice of patches is {fold.mean_dice:.2f}; at this point the median of folds {', '.join(names)} was "
            fold = replace(fold, warnings=(*fold.warnings, f"{beside}{statistics.median(dice):.2f}"))
        compared.append(fold)
    return compared


def _dice_at(sibling: FoldStatus, fold: FoldStatus) -> float | None:
    """The sibling's Dice when it had trained the share of its epochs that the fold has now; None where it is not so far."""
    if not sibling.history or not fold.epochs or sibling.epoch / sibling.epochs < fold.epoch / fold.epochs:
        return None
    index = round(fold.epoch / fold.epochs * sibling.epochs) - 1
    return sibling.history[min(max(index, 0), len(sibling.history) - 1)]


def _checkpoint(path: Path) -> tuple[FoldCheckpoint | None, list[str]]:
    if not path.exists():
        return None, []
    try:
        return FoldCheckpoint.load(path), []
    except RecordError as error:
        return None, [str(error)]


LATER = ConfigDict(defer_build=True)  # every verb imports this module


class _Summary(BaseModel):
    """What is shown of a structure's summary."""

    model_config = LATER

    dice: float | None
    dice_interval: tuple[float, float] | None


class _Scores(BaseModel):
    """What is shown of `scores.json`, whose many cases are not checked here."""

    model_config = LATER

    mean_dice: float | None
    summary: dict[str, _Summary]


def _scores(path: Path) -> tuple[float | None, dict[str, StructureDice]]:
    try:
        found = _Scores.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None, {}
    return found.mean_dice, {name: StructureDice(s.dice, s.dice_interval) for name, s in found.summary.items()}


def _silent_seconds(files: Sequence[Path], now: float) -> float | None:
    touched = []
    for file in files:
        try:
            touched.append(file.stat().st_mtime)
        except OSError:
            continue
    return max(0.0, now - max(touched)) if touched else None
