"""The epochs of a fold: steps, the curve on validation patches, the length amended to the clock, checkpoints."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch.utils.data import DataLoader

from autoseg.engines.device import autocast
from autoseg.learning.augmentation import Drawn
from autoseg.learning.checkpoint import save_checkpoint
from autoseg.learning.journal import EpochLine, Journal, draw_curves, read_journal
from autoseg.learning.loss import hard_counts
from autoseg.learning.sampler import PatchSampler
from autoseg.learning.schedule import amend_length, learning_rate
from autoseg.learning.watch import dead_fold, is_looked_at, when_it_was_there
from autoseg.records import FoldCheckpoint
from autoseg.stages.train.trainer import FoldTrainer

SHARE_OF_SAVING = 0.02  # of the training time, for checkpoints; they are written after every epoch where that suffices
SHARE_OF_DRAWING = 0.01  # for the picture of the curves
ADVANCE_EVERY = 10  # steps


@dataclass
class Ration:
    """Something that is done as often as a share of the time allows."""

    share: float
    spent: float = 0.0
    last: float = 0.0

    def allows(self, elapsed: float) -> bool:
        """Whether doing it once more would keep within the share of `elapsed` seconds; the first time always."""
        return self.spent + self.last <= self.share * elapsed

    def took(self, seconds: float) -> None:
        """It was done."""
        self.spent, self.last = self.spent + seconds, seconds


def train_epochs(trainer: FoldTrainer, train: PatchSampler, validation: PatchSampler, workers: int) -> FoldCheckpoint:
    """Train until the schedule ends. Returns the last checkpoint."""
    spec, ranks = trainer.configuration.training, trainer.setting.ranks
    trainer.progress.stage("training", trainer.schedule.epochs * spec.steps_per_epoch)
    # one endless stream: the loader's processes start once, and the length may change under way
    batches = iter(_loader(train, itertools.count(trainer.schedule.epoch * spec.steps_per_epoch), workers, trainer))
    validation_steps = range(spec.validation_steps if validation.cases else 0)
    validation_batches = _loader(validation, validation_steps, workers // 2, trainer)
    saving, drawing = Ration(SHARE_OF_SAVING), Ration(SHARE_OF_DRAWING)
    checkpoint: FoldCheckpoint | None = None
    begun = start = time.monotonic()
    while trainer.schedule.epoch < trainer.schedule.epochs:
        _train_epoch(trainer, batches, validation_batches)
        start, before = time.monotonic(), start  # an epoch's time holds the saving after the one before it
        trainer.epoch_seconds.append(start - before)
        trainer.seconds += start - before
        trainer.schedule = trainer.schedule.after_epoch()
        _amend_length(trainer)
        _look_at_siblings(trainer)
        finished = trainer.schedule.epoch >= trainer.schedule.epochs
        if finished:
            trainer.journal.note("end", trainer.schedule.epoch, when_it_was_there(trainer.journal.lines))
        if ranks.agreed(finished or saving.allows(start - begun)):
            checkpoint = ranks.only_first(partial(_save, trainer, finished))
            saving.took(time.monotonic() - start)
            if ranks.first and (finished or drawing.allows(start - begun)):
                since = time.monotonic()
                draw_curves(trainer.journal.lines, trainer.folder / "curves.png")
                drawing.took(time.monotonic() - since)
    checkpoint = ranks.agreed(checkpoint)
    assert checkpoint is not None  # the last epoch was saved
    return checkpoint


def _amend_length(trainer: FoldTrainer) -> None:
    """To the time limit; the first process's clock counts for all."""
    decided = amend_length(trainer.schedule, trainer.epoch_seconds, trainer.seconds, trainer.limit_seconds)
    trainer.schedule, amendment = trainer.setting.ranks.agreed(decided)
    if amendment is not None:
        trainer.amend(amendment)
        trainer.progress.stage("training", trainer.schedule.epochs * trainer.configuration.training.steps_per_epoch)


def _save(trainer: FoldTrainer, finished: bool) -> FoldCheckpoint:
    identity = trainer.configuration.digests()
    record = FoldCheckpoint(
        preparation=identity["preparation"],
        network=identity["network"],
        training=identity["training"],
        epoch=trainer.schedule.epoch,
        epochs=trainer.schedule.epochs,
        progress=trainer.schedule.progress,
        seconds=trainer.seconds,
        state=None,
        weights="",
        weights_sha256="",
        finished=finished,
        skipped=trainer.skipped,
        parts=trainer.step.parts,
        extended_at=trainer.schedule.extended_at,
        extensions=trainer.extensions,
        handed_over=None if finished else trainer.handed_over[0],
        handed_over_sha256="" if finished else trainer.handed_over[1],
        limit_seconds=trainer.limit_seconds,
        amendments=trainer.amendments,
        initial=trainer.initial,
        members=trainer.members,
    )
    return save_checkpoint(trainer.folder, record, trainer.learner)


def _train_epoch(trainer: FoldTrainer, batches: Iterator[Drawn], validation: DataLoader[Drawn]) -> None:
    start = time.monotonic()
    spec, schedule = trainer.configuration.training, trainer.schedule
    first = schedule.epoch * spec.steps_per_epoch
    trainer.step.network.train()
    total, taken = torch.zeros((), device=trainer.setting.device), 0
    text = _last_dice(trainer.journal)
    for step, drawn in enumerate(itertools.islice(batches, spec.steps_per_epoch)):
        loss = trainer.take_step(drawn, schedule, step)
        if loss is not None:
            total, taken = total + loss, taken + 1
        if step % ADVANCE_EVERY == ADVANCE_EVERY - 1 or step == spec.steps_per_epoch - 1:
            speed = (step + 1) / (time.monotonic() - start)
            trainer.progress.advance(first + step + 1, f"loss {float(total) / max(taken, 1):.3f}{text} {speed:.2f} steps/s")
    train_seconds = time.monotonic() - start
    ranks = trainer.setting.ranks
    mean = float(ranks.total(total)) / ranks.size / max(taken, 1)
    loss_there, dice = _validate_patches(trainer, validation)
    line = EpochLine(
        epoch=schedule.epoch,
        steps=first + spec.steps_per_epoch,
        learning_rate=learning_rate(spec, schedule.step_progress(spec.steps_per_epoch - 1, spec.steps_per_epoch)),
        train_loss=mean,
        validation_loss=loss_there,
        dice=dice,
        seconds=time.monotonic() - start,
        steps_per_second=spec.steps_per_epoch / train_seconds,
    )
    trainer.journal.append(line)


def _validate_patches(trainer: FoldTrainer, batches: DataLoader[Drawn]) -> tuple[float | None, dict[str, float | None]]:
    """Loss and pooled Dice on the same validation patches every epoch, with the weights that would be handed over."""
    names = [target.name for target in trainer.plan.targets]
    steps, device, ranks = len(batches), trainer.setting.device, trainer.setting.ranks
    if steps == 0:
        return None, dict.fromkeys(names)
    average, network = trainer.learner.average, trainer.learner.network
    network.eval()
    loss = torch.zeros((), device=device)
    counts = torch.zeros((3, len(names)), device=device)
    if average is not None:
        average.swap()
    with torch.inference_mode():
        for drawn in batches:
            batch, images = trainer.batch(drawn)
            with autocast(device, trainer.step.precision):
                logits = network(images)
            loss += trainer.step.loss(logits, batch.labels)
            counts += hard_counts(logits, batch.labels, trainer.plan)
    if average is not None:
        average.swap()
    hits, false_alarms, misses = ranks.total(counts).tolist()
    dice = {
        name: 2 * h / (2 * h + f + m) if h + m > 0 else None
        for name, h, f, m in zip(names, hits, false_alarms, misses, strict=True)
    }
    mean = float(ranks.total(loss)) / ranks.size / steps
    return mean if mean == mean and abs(mean) != float("inf") else None, dice


def _look_at_siblings(trainer: FoldTrainer) -> None:
    """Once, at a tenth of the schedule: tell of a fold that does not learn while the others did."""
    schedule = trainer.schedule
    if trainer.looked_at_siblings or not is_looked_at(schedule.epoch, schedule.epochs):
        return
    trainer.looked_at_siblings = True
    siblings = [read_journal(path)[0] for path in trainer.setting.siblings]
    warning = dead_fold(trainer.journal.lines, trainer.schedule.epochs, siblings)
    if warning is not None:
        trainer.journal.note("warning", trainer.schedule.epoch, warning)
        trainer.progress.message(f"warning: {warning}")


def _loader(sampler: PatchSampler, steps: Iterable[int], workers: int, trainer: FoldTrainer) -> DataLoader[Drawn]:
    """The batches of these steps, drawn ahead by loader processes where there are any; they live as long as the loader."""
    return DataLoader(
        sampler,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=2 if workers else None,
        persistent_workers=workers > 0,
        pin_memory=trainer.setting.device.type == "cuda",
        multiprocessing_context="spawn" if workers else None,
    )


def _last_dice(journal: Journal) -> str:
    dice = journal.lines[-1].mean_dice if journal.lines else None
    return "" if dice is None else f" dice {dice:.3f}"
