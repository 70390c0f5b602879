"""One fold: train, predict its validation cases as whole images, score them, and record the model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch

from autoseg.engines.device import available_memory, pick_device, return_freed_memory
from autoseg.learning.checkpoint import read_record, remove_others
from autoseg.learning.journal import EpochLine, Listener, read_journal
from autoseg.learning.ranks import ALONE, Ranks, own_device
from autoseg.learning.sign_of_life import sign_of_life
from autoseg.learning.tracking import Tracked, open_trackers, parameters_of
from autoseg.learning.watch import when_it_was_there
from autoseg.pipeline.fold_task import FoldTask
from autoseg.pipeline.recording import record_model
from autoseg.pipeline.validation import foreseen_seconds, validate
from autoseg.processing.previous import open_previous
from autoseg.processing.store import PreparedCase, open_case
from autoseg.progress import Progress, SilentProgress
from autoseg.records import FoldCheckpoint, Plan, Scores
from autoseg.stages.plan import what_length_brings
from autoseg.stages.train import Setting, train_fold

SHARE_OF_MEMORY = 0.3  # of the free main memory, for holding prepared cases
LEAST_SHARE = 0.2  # of the budget is trained, whatever the validation takes
START_UP_SECONDS = 10.0  # importing torch and MONAI, before any clock here runs


@dataclass(frozen=True)
class FoldOutcome:
    """A trained fold and its whole-image validation; `scores` is None when there was nothing to validate on.

    `notes` are sentences about its length.
    """

    fold: str
    configuration: str
    scores: Scores | None
    seconds: float
    epochs: int
    folder: Path
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainOptions:
    """How a fold is trained, beside what its plan says; `ranks` are the processes that share its batches."""

    device: str = "auto"
    track: Sequence[str] = ()
    extend_seconds: float | None = None
    ranks: Ranks = ALONE
    progress: Progress = field(default_factory=SilentProgress)


def train_one(task: FoldTask, options: TrainOptions) -> FoldOutcome:
    """Train a fold to its end, validate it, and write `model.json`.

    Raises:
        RunFolderError: another process works on this fold.
    """
    ranks, progress = options.ranks, options.progress
    running = task.folder.running(task.configuration.name, task.fold)
    with ExitStack() as claimed:
        ranks.only_first(lambda: claimed.enter_context(sign_of_life(running, progress=progress)))
        start = time.monotonic()
        device = own_device(_device(options.device, task.plan, progress))
        checkpoint = _train(task, options, device, start)
        return_freed_memory()  # training kept it for itself

        def assess() -> Scores | None:
            record_model(task.folder, task.plan, progress)
            remove_others(task.place, checkpoint)
            return validate(task, checkpoint, device, progress)

        scores = ranks.only_first(assess)
        seconds = time.monotonic() - start
        return FoldOutcome(
            task.fold, task.configuration.name, scores, seconds, checkpoint.epochs, task.place, _notes(task, checkpoint)
        )


def _train(task: FoldTask, options: TrainOptions, device: torch.device, start: float) -> FoldCheckpoint:
    progress, ranks = options.progress, options.ranks
    masks = task.folder.previous_masks(task.configuration) if task.previous is not None else None
    train = [_opened(task.prepared, case, masks) for case in task.members.train]
    validation = [_opened(task.prepared, case, masks) for case in task.members.validation]
    if device.type == "cpu":  # elsewhere loader processes read for themselves; each would get a copy
        hold_in_memory([*train, *validation], progress, SHARE_OF_MEMORY / ranks.size)
    limit = ranks.agreed(ranks.only_first(lambda: _training_limit(task, device, start, progress)))
    with ExitStack() as tracking:

        def tracked(done: Sequence[EpochLine]) -> Listener:
            return tracking.enter_context(open_trackers(options.track, _tracked(task, done), progress))

        setting = Setting(
            device=device,
            ranks=ranks,
            limit_seconds=limit,
            extend_seconds=options.extend_seconds,
            siblings=task.siblings,
            track=tracked if options.track and ranks.first else None,
            progress=progress,
        )
        checkpoint = train_fold(
            task.plan,
            task.configuration,
            train,
            validation,
            task.place,
            fold=task.number,
            setting=setting,
            members=task.material,
        )
    for amendment in [amendment for amendment in checkpoint.amendments if amendment.name == "epochs"][-1:]:
        progress.message(f"length amended: {amendment.before} -> {amendment.after} epochs, since {amendment.reason}")
    return checkpoint


def _opened(prepared: Path, id: str, masks: Path | None) -> PreparedCase:
    case = open_case(prepared, id)
    case.previous = None if masks is None else open_previous(masks, id)
    return case


def hold_in_memory(cases: list[PreparedCase], progress: Progress, share: float = SHARE_OF_MEMORY) -> None:
    """Hold prepared cases in main memory when all of them take a modest share of it; else patches come from disk."""
    return_freed_memory()
    needed, free = sum(case.nbytes for case in cases), available_memory()
    if needed > share * free:
        progress.message(f"patches are read from disk: the cases take {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free")
        return
    for case in cases:
        case.load_into_memory()


def _tracked(task: FoldTask, done: Sequence[EpochLine]) -> Tracked:
    folder, name = task.folder, task.configuration.name
    run = folder.root.absolute().name
    return Tracked(
        name=f"{run}/{name}/fold_{task.fold}",
        tensorboard=folder.tensorboard(name, task.fold),
        mlflow=folder.mlflow,
        mlflow_run=folder.mlflow_run(name, task.fold),
        experiment=run,
        parameters=parameters_of(task.configuration),
        lines=tuple(done),
    )


def _device(name: str, plan: Plan, progress: Progress) -> torch.device:
    """The device asked for; `auto` is the planned one, or the best that is here."""
    best = pick_device("auto")
    if name != "auto":
        return pick_device(name)
    if best.type != plan.device:
        progress.message(f"planned for {plan.device}, training on {best.type}, which is what is here")
    return best


def _training_limit(task: FoldTask, device: torch.device, start: float, progress: Progress) -> float | None:
    """Seconds left for training itself: the budget less start-up and the validation, which is timed on a few cases."""
    training, budget = task.configuration.training, task.configuration.time_limit_seconds
    if budget is None and training.time_budget_seconds is not None:
        progress.message(
            f"plan.json says {training.epochs} epochs, edited since planning: the length is not amended to meet "
            f"{training.time_budget_seconds:.0f} s"
        )
    if budget is not None and training.deterministic:
        progress.message(f"training is deterministic: {training.epochs} epochs, whatever time they take")
        return None
    trained = read_record(task.place)
    if budget is None or (trained is not None and trained.finished):
        return None
    reserve = foreseen_seconds(task, device, progress)
    limit = budget - reserve - (time.monotonic() - start) - START_UP_SECONDS
    if limit < LEAST_SHARE * budget:
        limit = LEAST_SHARE * budget
        progress.message(f"start-up and validation leave little of {budget:.0f} s; training takes {limit:.0f} s all the same")
    return limit


def _notes(task: FoldTask, checkpoint: FoldCheckpoint) -> tuple[str, ...]:
    """When the fold had learned, and what another length would bring by the rule of planning."""
    lines, _ = read_journal(task.folder.journal(task.configuration.name, task.fold))
    if not lines:
        return ()
    steps = checkpoint.epochs * task.configuration.training.steps_per_epoch
    return (when_it_was_there(lines), what_length_brings(task.plan.preset, task.configuration, steps))
