"""Train one fold: patches in, weights out. Whole-image validation is the pipeline's business, not this stage's."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from autoseg.engines.device import Precision, autocast, naming_memory_errors, pick_precision, place
from autoseg.errors import DataError, TrainingDiverged
from autoseg.learning.augmentation import Augmentation
from autoseg.learning.checkpoint import load_checkpoint, save_checkpoint
from autoseg.learning.journal import EpochLine, Journal, draw_curves
from autoseg.learning.loss import SegmentationLoss, hard_counts
from autoseg.learning.previous_stage import PreviousChannels
from autoseg.learning.sampler import Batch, PatchSampler
from autoseg.learning.schedule import Schedule, amend_length, learning_rate
from autoseg.learning.step import Step, sgd
from autoseg.learning.transfer import account, start_from
from autoseg.networks.unet import build_network
from autoseg.parallel import available_cores
from autoseg.processing.store import PreparedCase
from autoseg.progress import Progress, SilentProgress
from autoseg.records import Amendment, Configuration, FoldCheckpoint, InitialWeights, Plan

SECONDS_BETWEEN_SAVES = 60.0
TRAIN_STREAM, VALIDATION_STREAM = 0, 1
FULL = "full"  # the fold of all cases; its number is -1
MEMORY_CURE = "plan again with a smaller --memory, or --set training.batch_size=N"


@dataclass
class FoldTrainer:
    """The pieces that one fold's training moves along; built by `train_fold`."""

    plan: Plan
    configuration: Configuration
    folder: Path
    device: torch.device
    precision: Precision
    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    loss: SegmentationLoss
    journal: Journal
    schedule: Schedule
    limit_seconds: float | None
    progress: Progress
    seconds: float = 0.0  # trained so far, over all sittings
    amendments: tuple[Amendment, ...] = ()
    initial: InitialWeights | None = None
    members: str = ""
    epoch_seconds: list[float] = field(default_factory=list)


def train_fold(  # noqa: PLR0913  the pipeline's one call, all by keyword but the data
    plan: Plan,
    configuration: Configuration,
    train: Sequence[PreparedCase],
    validation: Sequence[PreparedCase],
    folder: Path,
    *,
    fold: int,
    device: torch.device,
    members: str = "",
    limit_seconds: float | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> FoldCheckpoint:
    """Train, or go on training, until the schedule ends.

    Args:
        plan: of the run; what the labels mean.
        configuration: of the plan.
        train: cases to learn from.
        validation: cases for the curves; they never reach the optimiser. May be empty.
        folder: of the fold; holds checkpoint, journal and picture.
        fold: its number; -1 for all cases.
        device: where to train.
        members: digest of the fold's cases, for the checkpoint to tell.
        limit_seconds: wall time for this stage over all sittings; the length is amended to meet it.
        workers: loader processes; None chooses 0 on a CPU, whose cores the network needs, else up to 8.
        progress: told of every few steps.

    Raises:
        RecordError: the folder holds a checkpoint of other settings.
        OutOfMemory: with a cure.
    """
    if not train:
        raise DataError("no case to train on is left in this fold; plan with fewer --folds or a smaller --hold-out")
    trainer = _set_up(plan, configuration, folder, fold, device, limit_seconds, progress or SilentProgress())
    trainer.members = members
    checkpoint = _resume(trainer)
    if checkpoint is None:
        _start(trainer, fold)
    elif checkpoint.finished:
        trainer.progress.message(f"fold already trained ({checkpoint.epochs} epochs)")
        return checkpoint
    spec = configuration.training
    workers = (0 if device.type == "cpu" else min(8, available_cores())) if workers is None else workers
    masked = tuple(i for i, n in enumerate(configuration.preparation.normalization) if n.use_mask)
    augmentation = (
        Augmentation(spec.patch_size, spec.mirror_axes, masked) if configuration.augmentation.preset != "none" else None
    )
    axis = configuration.slice_axis
    faulty = seen = None  # the first stage's masks, in the second stage of a cascade
    if configuration.previous_stage is not None:
        faulty = PreviousChannels(plan.targets, configuration.augmentation.previous_stage)
        seen = PreviousChannels(plan.targets, None)
    learn = PatchSampler(
        train, spec, slice_axis=axis, stream=(fold + 1, TRAIN_STREAM), augmentation=augmentation, previous=faulty
    )
    watch = PatchSampler(validation, spec, slice_axis=axis, stream=(fold + 1, VALIDATION_STREAM), previous=seen)
    with naming_memory_errors(MEMORY_CURE):
        return _train(trainer, learn, watch, workers)


def _set_up(
    plan: Plan,
    configuration: Configuration,
    folder: Path,
    fold: int,
    device: torch.device,
    limit: float | None,
    progress: Progress,
) -> FoldTrainer:
    spec = configuration.training
    precision = pick_precision(device)
    with torch.random.fork_rng():
        torch.manual_seed(spec.seed * 1000 + fold + 1)
        network = place(build_network(configuration.network), device)
    optimizer = sgd(network, spec.initial_lr, spec.momentum, spec.weight_decay)
    folder.mkdir(parents=True, exist_ok=True)
    return FoldTrainer(
        plan=plan,
        configuration=configuration,
        folder=folder,
        device=device,
        precision=precision,
        network=network,
        optimizer=optimizer,
        scaler=torch.amp.GradScaler(device.type) if precision == "float16" else None,
        loss=SegmentationLoss(plan, batch_dice=spec.batch_dice),
        journal=Journal(folder / "journal.jsonl"),
        schedule=Schedule(0, spec.epochs),
        limit_seconds=limit,
        progress=progress,
    )


def _start(trainer: FoldTrainer, fold: int) -> None:
    """Bring the weights of another run into the network, where the plan says so."""
    transfer = trainer.plan.transfer
    name = FULL if fold < 0 else str(fold)
    trainer.initial = None if transfer is None else start_from(trainer.network, transfer, name)
    if trainer.initial is not None:
        trainer.progress.message(account(trainer.initial))


def _resume(trainer: FoldTrainer) -> FoldCheckpoint | None:
    """Bring the trainer to the folder's checkpoint, if there is one."""
    checkpoint = load_checkpoint(
        trainer.folder, trainer.network, trainer.optimizer, trainer.scaler, trainer.configuration.digests()
    )
    trainer.journal.cut_back(checkpoint.epoch if checkpoint else 0)
    if checkpoint is None:
        return None
    trainer.initial = checkpoint.initial
    trainer.schedule = Schedule(checkpoint.epoch, checkpoint.epochs, checkpoint.progress)
    trainer.seconds, trainer.amendments = checkpoint.seconds, checkpoint.amendments
    _follow_edited_length(trainer, checkpoint)
    if not checkpoint.finished:
        trainer.progress.message(f"continuing at epoch {checkpoint.epoch + 1} of {trainer.schedule.epochs}")
    return checkpoint


def _follow_edited_length(trainer: FoldTrainer, checkpoint: FoldCheckpoint) -> None:
    """When the plan's epochs were edited after training began, go on to the new length, and write that down."""
    spec = trainer.configuration.training
    if trainer.configuration.time_limit_seconds is not None or spec.epochs == checkpoint.epochs:
        return
    if checkpoint.finished:
        trainer.progress.message(
            f"plan.json now says {spec.epochs} epochs, but this fold ended with {checkpoint.epochs} and its learning rate at zero; "
            f"delete {trainer.folder} to train it anew"
        )
        return
    epochs = max(spec.epochs, checkpoint.epoch + 1)
    amendment = Amendment(
        epoch=checkpoint.epoch, name="epochs", before=str(checkpoint.epochs), after=str(epochs), reason="plan.json was edited"
    )
    trainer.schedule = replace(trainer.schedule, epochs=epochs)
    trainer.amendments = (*trainer.amendments, amendment)


def _train(trainer: FoldTrainer, train: PatchSampler, validation: PatchSampler, workers: int) -> FoldCheckpoint:
    spec = trainer.configuration.training
    trainer.progress.stage("training", trainer.schedule.epochs * spec.steps_per_epoch)
    # one endless stream: the loader's processes start once, and the length may change under way
    batches = iter(_loader(train, itertools.count(trainer.schedule.epoch * spec.steps_per_epoch), workers, trainer.device))
    validation_steps = range(spec.validation_steps if validation.cases else 0)
    validation_batches = _loader(validation, validation_steps, workers // 2, trainer.device)
    last_save = time.monotonic()
    checkpoint: FoldCheckpoint | None = None
    start = time.monotonic()
    while trainer.schedule.epoch < trainer.schedule.epochs:
        _train_epoch(trainer, batches, validation_batches)
        start, begun = time.monotonic(), start  # an epoch's time holds the saving after the one before it
        trainer.epoch_seconds.append(start - begun)
        trainer.seconds += start - begun
        trainer.schedule = trainer.schedule.after_epoch()
        trainer.schedule, amendment = amend_length(
            trainer.schedule, trainer.epoch_seconds, trainer.seconds, trainer.limit_seconds
        )
        if amendment is not None:
            trainer.amendments = (*trainer.amendments, amendment)
            trainer.progress.stage("training", trainer.schedule.epochs * spec.steps_per_epoch)
        finished = trainer.schedule.epoch >= trainer.schedule.epochs
        if finished or time.monotonic() - last_save > SECONDS_BETWEEN_SAVES:
            checkpoint = _save(trainer, finished)
            last_save = time.monotonic()
    assert checkpoint is not None
    return checkpoint


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
        amendments=trainer.amendments,
        initial=trainer.initial,
        members=trainer.members,
    )
    record = save_checkpoint(trainer.folder, record, trainer.network, trainer.optimizer, trainer.scaler)
    draw_curves(trainer.journal.lines, trainer.folder / "curves.png")
    return record


def _train_epoch(trainer: FoldTrainer, batches: Iterator[Batch], validation: DataLoader[Batch]) -> None:
    start = time.monotonic()
    spec, schedule = trainer.configuration.training, trainer.schedule
    first = schedule.epoch * spec.steps_per_epoch
    trainer.network.train()
    total = torch.zeros((), device=trainer.device)
    rate = spec.initial_lr
    text = _last_dice(trainer.journal)
    for step, batch in enumerate(itertools.islice(batches, spec.steps_per_epoch)):
        rate = learning_rate(spec, schedule.step_progress(step, spec.steps_per_epoch))
        total += _step(trainer, batch, rate)
        if step % 10 == 9 or step == spec.steps_per_epoch - 1:
            speed = (step + 1) / (time.monotonic() - start)
            trainer.progress.advance(first + step + 1, f"loss {float(total) / (step + 1):.3f}{text} {speed:.2f} steps/s")
    train_seconds = time.monotonic() - start
    loss, dice = _validate_patches(trainer, validation)
    line = EpochLine(
        epoch=schedule.epoch,
        steps=first + spec.steps_per_epoch,
        learning_rate=rate,
        train_loss=_finite(float(total) / spec.steps_per_epoch, schedule.epoch),
        validation_loss=None if loss is None else _finite(loss, schedule.epoch),
        dice=dice,
        seconds=time.monotonic() - start,
        steps_per_second=spec.steps_per_epoch / train_seconds,
    )
    trainer.journal.append(line)


def _step(trainer: FoldTrainer, batch: Batch, rate: float) -> Tensor:
    """One optimiser step; the loss, still on the device."""
    for group in trainer.optimizer.param_groups:
        group["lr"] = rate
    clip = trainer.configuration.training.gradient_clip
    step = Step(trainer.network, trainer.loss, trainer.optimizer, trainer.scaler, trainer.device, trainer.precision, clip)
    return step(*_to(batch, trainer.device))


def _validate_patches(trainer: FoldTrainer, batches: DataLoader[Batch]) -> tuple[float | None, dict[str, float | None]]:
    """Loss and pooled Dice on the same validation patches every epoch."""
    names = [target.name for target in trainer.plan.targets]
    steps = len(batches)
    if steps == 0:
        return None, dict.fromkeys(names)
    trainer.network.eval()
    loss = torch.zeros((), device=trainer.device)
    counts = torch.zeros((3, len(names)), device=trainer.device)
    with torch.inference_mode():
        for batch in batches:
            images, labels = _to(batch, trainer.device)
            with autocast(trainer.device, trainer.precision):
                logits = trainer.network(images)
            loss += trainer.loss(logits, labels)
            counts += hard_counts(logits, labels, trainer.plan)
    hits, false_alarms, misses = counts.tolist()
    dice = {
        name: 2 * h / (2 * h + f + m) if h + m > 0 else None
        for name, h, f, m in zip(names, hits, false_alarms, misses, strict=True)
    }
    return float(loss) / steps, dice


def _loader(sampler: PatchSampler, steps: Iterable[int], workers: int, device: torch.device) -> DataLoader[Batch]:
    """The batches of these steps, drawn ahead by loader processes where there are any; they live as long as the loader."""
    return DataLoader(
        sampler,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=2 if workers else None,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
        multiprocessing_context="spawn" if workers else None,
    )


def _to(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    return batch.images.to(device, non_blocking=True), batch.labels.to(device, non_blocking=True)


def _last_dice(journal: Journal) -> str:
    dice = [value for value in journal.lines[-1].dice.values() if value is not None] if journal.lines else []
    return f" dice {sum(dice) / len(dice):.3f}" if dice else ""


def _finite(loss: float, epoch: int) -> float:
    """The loss, or an error: a diverged network never recovers, and hours would be lost."""
    if loss != loss or loss in (float("inf"), float("-inf")):
        raise TrainingDiverged(
            f"training diverged in epoch {epoch + 1} (the loss is {loss}); the last checkpoint is kept. "
            "Look for extreme intensities in fingerprint.json, or plan with --set training.initial_lr=0.003"
        )
    return loss
