"""Begin a fold's training, or take it up where it was: network, optimiser, journal and schedule."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from autoseg.engines.device import (
    MemoryFormat,
    is_out_of_memory,
    keep_freed_memory,
    naming_memory_errors,
    place,
    release_memory,
    repeatable,
)
from autoseg.errors import DataError, RunFolderError
from autoseg.learning.augmentation import Augmentation
from autoseg.learning.checkpoint import load_checkpoint, read_record
from autoseg.learning.journal import Journal
from autoseg.learning.learner import build_learner, build_step
from autoseg.learning.quickest import quickest_format, why_not_compiled
from autoseg.learning.sampler import PatchSampler
from autoseg.learning.schedule import Schedule
from autoseg.learning.transfer import account, start_from
from autoseg.learning.watch import is_looked_at
from autoseg.parallel import available_cores
from autoseg.processing.store import PreparedCase
from autoseg.records import FULL, Amendment, Configuration, FoldCheckpoint, Plan
from autoseg.stages.train.epochs import train_epochs
from autoseg.stages.train.trainer import FoldTrainer, Setting, computing

TRAIN_STREAM, VALIDATION_STREAM = 0, 1
MEMORY_CURE = "plan again with a smaller --memory, or --set training.batch_size=N"


def train_fold(
    plan: Plan,
    configuration: Configuration,
    train: Sequence[PreparedCase],
    validation: Sequence[PreparedCase],
    folder: Path,
    *,
    fold: int,
    setting: Setting,
    members: str = "",
) -> FoldCheckpoint:
    """Train, or go on training, until the schedule ends.

    Args:
        plan: of the run; what the labels mean.
        configuration: of the plan.
        train: cases to learn from.
        validation: cases for the curves; they never reach the optimiser. May be empty.
        folder: of the fold; holds checkpoint, journal and picture.
        fold: its number; -1 for all cases.
        setting: device, limits and listeners.
        members: digest of the fold's cases, for the checkpoint to tell.

    Raises:
        RecordError: the folder holds a checkpoint of other settings.
        RunFolderError: the fold is to be extended, but was not begun.
        OutOfMemory, DiskFull, TrainingDiverged: with a cure; the last checkpoint is intact.
    """
    if not train:
        raise DataError("no case to train on is left in this fold; plan with fewer --folds or a smaller --hold-out")
    keep_freed_memory()
    with repeatable(configuration.training.deterministic), naming_memory_errors(MEMORY_CURE):
        trainer = _set_up(plan, configuration, folder, fold, setting)
        trainer.members = members
        begun = time.monotonic()
        laid_out = _lay_out(trainer)
        checkpoint = _resume(trainer)
        trainer.journal.listener = setting.track(trainer.journal.lines) if setting.track else None
        samplers = _samplers(trainer, train, validation)
        if checkpoint is None and setting.extend_seconds is not None:
            raise RunFolderError(
                f"{folder}: this fold was not begun, so there is nothing to extend; train it without --extend first"
            )
        if laid_out is not None:
            trainer.amend(laid_out)
        if checkpoint is None:
            _start(trainer)
        trainer.seconds += time.monotonic() - begun  # finding out what is quickest counts, too
        under_way = checkpoint is None or not checkpoint.finished
        extends_already = checkpoint is not None and checkpoint.extended_at is not None
        if under_way:
            checkpoint = _train(trainer, *samplers)
        if setting.extend_seconds is not None and not (under_way and extends_already):
            assert checkpoint is not None  # one that was not begun is refused above
            _extend(trainer, checkpoint, setting.extend_seconds)
            return _train(trainer, *samplers)
        assert checkpoint is not None
        if not under_way:
            trainer.progress.message(f"fold already trained ({checkpoint.epochs} epochs)")
        return checkpoint


def _set_up(plan: Plan, configuration: Configuration, folder: Path, fold: int, setting: Setting) -> FoldTrainer:
    spec, device = configuration.training, setting.device
    learner = build_learner(configuration, device, seed=spec.seed * 1000 + fold + 1)
    step = build_step(plan, configuration, learner, device, setting.ranks)
    folder.mkdir(parents=True, exist_ok=True)
    return FoldTrainer(
        plan=plan,
        configuration=configuration,
        folder=folder,
        fold=fold,
        setting=setting,
        learner=learner,
        step=step,
        augmentation=Augmentation.of(configuration, plan.targets),
        journal=Journal(folder / "journal.jsonl", writes=setting.ranks.first),
        schedule=Schedule(0, spec.epochs),
        limit_seconds=None if spec.deterministic else setting.limit_seconds,
    )


def _samplers(
    trainer: FoldTrainer, train: Sequence[PreparedCase], validation: Sequence[PreparedCase]
) -> tuple[PatchSampler, PatchSampler]:
    spec, axis = trainer.configuration.training, trainer.configuration.slice_axis
    part, stream = trainer.setting.ranks.part_of(spec.batch_size), trainer.fold + 1
    learn = PatchSampler(
        train, spec, slice_axis=axis, stream=(stream, TRAIN_STREAM), augmentation=trainer.augmentation, part=part
    )
    return learn, PatchSampler(validation, spec, slice_axis=axis, stream=(stream, VALIDATION_STREAM), part=part)


def _start(trainer: FoldTrainer) -> None:
    """Bring the weights of another run into the network, where the plan says so."""
    transfer = trainer.plan.transfer
    name = FULL if trainer.fold < 0 else str(trainer.fold)
    trainer.initial = None if transfer is None else start_from(trainer.learner.network, transfer, name)
    if trainer.initial is not None:
        trainer.progress.message(account(trainer.initial))
        if trainer.learner.average is not None:
            trainer.learner.average.restore(dict(trainer.learner.network.state_dict()), 0)


def _resume(trainer: FoldTrainer) -> FoldCheckpoint | None:
    """Bring the trainer to the folder's checkpoint, if there is one."""
    checkpoint = load_checkpoint(trainer.folder, trainer.learner, trainer.configuration.digests())
    trainer.journal.cut_back(checkpoint.epoch if checkpoint else None)
    if checkpoint is None:
        return None
    trainer.initial, trainer.skipped = checkpoint.initial, checkpoint.skipped
    trainer.step.parts = checkpoint.parts if trainer.setting.ranks.size == 1 else 1  # several devices hold less each
    trainer.extensions = checkpoint.extensions
    trainer.handed_over = (checkpoint.handed_over, checkpoint.handed_over_sha256)
    trainer.looked_at_siblings = is_looked_at(checkpoint.epoch, checkpoint.epochs)
    trainer.schedule = Schedule(checkpoint.epoch, checkpoint.epochs, checkpoint.progress, checkpoint.extended_at)
    trainer.seconds, trainer.amendments = checkpoint.seconds, checkpoint.amendments
    if checkpoint.extended_at is not None:
        trainer.limit_seconds = checkpoint.limit_seconds
    _follow_edited_length(trainer, checkpoint)
    if not checkpoint.finished:
        trainer.progress.message(f"continuing at epoch {checkpoint.epoch + 1} of {trainer.schedule.epochs}")
    return checkpoint


def _follow_edited_length(trainer: FoldTrainer, checkpoint: FoldCheckpoint) -> None:
    """When the plan's epochs were edited after training began, go on to the new length, and write that down."""
    spec = trainer.configuration.training
    timed = trainer.configuration.time_limit_seconds is not None and not spec.deterministic
    if timed or checkpoint.extended_at is not None or spec.epochs == checkpoint.epochs:
        return
    if checkpoint.finished:
        if trainer.setting.extend_seconds is None:
            trainer.progress.message(
                f"plan.json now says {spec.epochs} epochs, but this fold ended with {checkpoint.epochs} and its learning rate at "
                f"zero; `autoseg train --extend TIME` goes on, or delete {trainer.folder} to train it anew"
            )
        return
    epochs = max(spec.epochs, checkpoint.epoch + 1)
    trainer.schedule = replace(trainer.schedule, epochs=epochs)
    reason = "plan.json was edited"
    trainer.amend(
        Amendment(epoch=checkpoint.epoch, name="epochs", before=str(checkpoint.epochs), after=str(epochs), reason=reason)
    )


def _extend(trainer: FoldTrainer, checkpoint: FoldCheckpoint, seconds: float) -> None:
    """Go on with a fold that was trained to its end: the rate rises again, and falls to zero in the new time."""
    before = checkpoint.epochs
    more = max(1, round(seconds * checkpoint.epoch / max(checkpoint.seconds, 1e-9)))
    trainer.schedule = Schedule(checkpoint.epoch, before, 1.0).extended(more)
    trainer.limit_seconds = None if trainer.configuration.training.deterministic else checkpoint.seconds + seconds
    trainer.epoch_seconds, trainer.extensions = [], checkpoint.extensions + 1
    trainer.handed_over = (checkpoint.weights, checkpoint.weights_sha256)
    # from the finished fold, as it is on disk: so a training that ends and goes on at once is one that was started twice
    trainer.learner.optimizer.state.clear()
    load_checkpoint(trainer.folder, trainer.learner, trainer.configuration.digests())
    reason = (
        f"it was extended by {seconds:.0f} s; its rate rises to that of a schedule of {before + more} epochs, and falls again"
    )
    amendment = Amendment(epoch=before, name="epochs", before=str(before), after=str(before + more), reason=reason)
    trainer.amend(amendment, event="extended")
    trainer.progress.message(f"extended: {before} -> {before + more} epochs")


def _train(trainer: FoldTrainer, learn: PatchSampler, watch: PatchSampler) -> FoldCheckpoint:
    setting = trainer.setting
    trainer.step.network = computing(trainer.learner.network, setting, compiled=_compiles(trainer))
    workers = (0 if setting.device.type == "cpu" else min(8, available_cores())) if setting.workers is None else setting.workers
    return train_epochs(trainer, learn, watch, workers)


def _lay_out(trainer: FoldTrainer) -> Amendment | None:
    """Tensors lie as planned, or as was found quicker when the fold began; that is returned to be written down, and kept.

    Before anything is read into network and optimiser, whose tensors must lie alike.
    """
    spec, setting, network = trainer.configuration.training, trainer.setting, trainer.learner.network
    before = read_record(trainer.folder)
    found = [a for a in (before.amendments if before else ()) if a.name == "memory_format"]
    chosen: MemoryFormat
    amendment = None
    if found:
        chosen = cast("MemoryFormat", found[-1].after)
    elif spec.memory_format != "auto":
        chosen = spec.memory_format
    elif spec.deterministic:
        chosen = "contiguous"
    else:
        chosen, why = setting.ranks.agreed(_quickest(trainer))
        epoch = before.epoch if before else 0
        amendment = Amendment(epoch=epoch, name="memory_format", before="auto", after=chosen, reason=why)
    place(network, setting.device, chosen)
    trainer.memory_format = chosen
    return amendment


def _quickest(trainer: FoldTrainer) -> tuple[MemoryFormat, str]:
    spec, setting = trainer.configuration.training, trainer.setting
    part = setting.ranks.part_of(spec.batch_size)
    shape = (part.stop - part.start, trainer.configuration.network.in_channels, *spec.patch_size)
    try:
        return quickest_format(trainer.step, trainer.learner.network, shape)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error) or setting.ranks.size > 1:
            raise
    release_memory(setting.device)  # training will find out how much fits
    return "contiguous", "the device's memory did not suffice to try both"


def _compiles(trainer: FoldTrainer) -> bool:
    """Whether the network is compiled: where the plan says so, and it turns out to be quicker here; decided once for a fold."""
    spec, network = trainer.configuration.training, trainer.learner.network
    if not spec.compile or any(amendment.name == "compile" for amendment in trainer.amendments):
        return False
    if trainer.setting.ranks.size > 1:
        return True
    shape = (spec.batch_size, trainer.configuration.network.in_channels, *spec.patch_size)
    decided = spec.deterministic or trainer.schedule.epoch > 0  # whether it pays; it must work all the same
    why_not = why_not_compiled(trainer.step, network, shape, trainer.memory_format, must_pay=not decided)
    if why_not is None:
        return True
    trainer.progress.message(f"the network is not compiled: {why_not}")
    trainer.amend(Amendment(epoch=trainer.schedule.epoch, name="compile", before="true", after="false", reason=why_not))
    return False
