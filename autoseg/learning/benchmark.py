"""How fast a plan trains here, and where a step's time goes: real cases, and the sampler, augmentation and step of training.

The pace is measured first, undisturbed; the parts of a step afterwards, with a clock between them (on a GPU they then wait for
one another, so the parts tell shares, not the pace).
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from autoseg.engines.device import autocast, naming_memory_errors, peak_memory, pick_precision, place, synchronize
from autoseg.learning.augmentation import Augmentation, SpatialDraw
from autoseg.learning.checkpoint import save_checkpoint
from autoseg.learning.loss import SegmentationLoss
from autoseg.learning.sampler import Batch, PatchSampler
from autoseg.learning.step import Step, sgd
from autoseg.networks.unet import build_network
from autoseg.parallel import available_cores
from autoseg.processing.store import PreparedCase
from autoseg.records import Configuration, FoldCheckpoint, Plan

WARM_UP_STEPS = 2  # hold one-time costs: memory, thread pools, the choice of algorithms
FEWEST_STEPS = 3
SHARE_OF_PACE = 0.6  # of the seconds given; the rest is for the parts
STREAM = (0, 2)  # other batches than those of any fold
MEMORY_CURE = "plan again with a smaller --memory, or --set training.batch_size=N"


@dataclass(frozen=True)
class StepParts:
    """Seconds of a training step by what they go to. Reading and augmenting happen beside the step where loaders do it."""

    read: float
    augment: float
    forward: float
    loss: float
    backward: float  # with clipping
    optimiser: float

    @property
    def total(self) -> float:
        """Of all parts."""
        return sum(getattr(self, part.name) for part in fields(self))


@dataclass(frozen=True)
class TrainingSpeed:
    """What was measured; `loaders` processes read and augment (0: the training process itself)."""

    steps: int
    steps_per_second: float
    parts: StepParts
    forward_seconds: float  # of a batch, without gradients
    checkpoint_seconds: float
    peak_bytes: int | None
    loaders: int


def measure_training(
    plan: Plan, configuration: Configuration, cases: Sequence[PreparedCase], device: torch.device, seconds: float
) -> TrainingSpeed:
    """Train a fresh network on prepared cases for about `seconds`; nothing of it is kept.

    Raises:
        OutOfMemory: with a cure.
    """
    spec, precision = configuration.training, pick_precision(device)
    sampler = _sampler(configuration, cases)
    loaders = 0 if device.type == "cpu" else min(8, available_cores())
    with naming_memory_errors(MEMORY_CURE), torch.random.fork_rng(), peak_memory(device) as peak:
        torch.manual_seed(spec.seed)
        network = place(build_network(configuration.network), device)
        optimizer = sgd(network, spec.initial_lr, spec.momentum, spec.weight_decay)
        scaler = torch.amp.GradScaler(device.type) if precision == "float16" else None
        loss = SegmentationLoss(plan, batch_dice=spec.batch_dice)
        step = Step(network, loss, optimizer, scaler, device, precision, spec.gradient_clip)
        network.train()
        steps, per_second = _pace(step, sampler, device, loaders, SHARE_OF_PACE * seconds)
        parts = _parts(step, sampler, device, (1 - SHARE_OF_PACE) * seconds)
        images = _drawn(sampler, 0, device).batch.images
        network.eval()
        with torch.inference_mode(), autocast(device, precision):
            forward_seconds = min(_seconds_of(lambda: network(images), device) for _ in range(FEWEST_STEPS))
    return TrainingSpeed(
        steps=steps,
        steps_per_second=per_second,
        parts=parts,
        forward_seconds=forward_seconds,
        checkpoint_seconds=_checkpoint_seconds(network, optimizer, scaler),
        peak_bytes=peak.bytes,
        loaders=loaders,
    )


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A batch on the device, and what it took to get it there."""

    batch: Batch
    read_seconds: float
    augment_seconds: float


class _TimedAugmentation(Augmentation):
    """Counts the seconds that it takes."""

    seconds = 0.0

    def apply(self, image: Tensor, labels: Tensor, draw: SpatialDraw) -> tuple[Tensor, Tensor]:
        start = time.perf_counter()
        result = super().apply(image, labels, draw)
        self.seconds += time.perf_counter() - start
        return result


def _sampler(configuration: Configuration, cases: Sequence[PreparedCase]) -> PatchSampler:
    """As in training. With `_drawn` and `_batches` all that knows how sampler and augmentation meet."""
    spec = configuration.training
    masked = tuple(i for i, n in enumerate(configuration.preparation.normalization) if n.use_mask)
    varied = configuration.augmentation.preset != "none"
    augmentation = _TimedAugmentation(spec.patch_size, spec.mirror_axes, masked) if varied else None
    return PatchSampler(cases, spec, slice_axis=configuration.slice_axis, stream=STREAM, augmentation=augmentation)


def _drawn(sampler: PatchSampler, step: int, device: torch.device) -> _Drawn:
    augmentation = sampler.augmentation
    before = augmentation.seconds if isinstance(augmentation, _TimedAugmentation) else 0.0
    start = time.perf_counter()
    batch = sampler[step]
    batch = Batch(batch.images.to(device), batch.labels.to(device))
    synchronize(device)
    seconds = time.perf_counter() - start
    augmenting = augmentation.seconds - before if isinstance(augmentation, _TimedAugmentation) else 0.0
    return _Drawn(batch, seconds - augmenting, augmenting)


def _batches(sampler: PatchSampler, device: torch.device, loaders: int) -> Iterator[Batch]:
    """Batch after batch on the device, drawn ahead by processes where there are any."""
    loader: DataLoader[Batch] = DataLoader(
        sampler,
        batch_size=None,
        sampler=itertools.count(),
        num_workers=loaders,
        prefetch_factor=2 if loaders else None,
        pin_memory=device.type == "cuda",
        multiprocessing_context="spawn" if loaders else None,
    )
    for batch in loader:
        yield Batch(batch.images.to(device, non_blocking=True), batch.labels.to(device, non_blocking=True))


def _pace(step: Step, sampler: PatchSampler, device: torch.device, loaders: int, seconds: float) -> tuple[int, float]:
    """Steps done, and steps per second of the wall clock."""
    batches = _batches(sampler, device, loaders)
    for batch in itertools.islice(batches, WARM_UP_STEPS):
        step(batch.images, batch.labels)
    synchronize(device)
    start = time.perf_counter()
    done = 0
    while done < FEWEST_STEPS or time.perf_counter() - start < seconds:
        batch = next(batches)
        step(batch.images, batch.labels)
        done += 1
    synchronize(device)
    return done, done / (time.perf_counter() - start)


def _parts(step: Step, sampler: PatchSampler, device: torch.device, seconds: float) -> StepParts:
    """The mean over several steps. Clocks are hung onto network, loss and optimiser, so that the step itself is training's own."""
    marks: list[float] = []

    def mark(*_: object) -> None:
        synchronize(device)
        marks.append(time.perf_counter())

    hooks = [
        step.network.register_forward_pre_hook(mark),
        step.network.register_forward_hook(mark),
        step.loss.register_forward_hook(mark),
        step.optimizer.register_step_pre_hook(mark),
        step.optimizer.register_step_post_hook(mark),
    ]
    rows: list[list[float]] = []
    start = time.perf_counter()
    try:
        while len(rows) < FEWEST_STEPS or time.perf_counter() - start < seconds:
            drawn = _drawn(sampler, len(rows), device)
            marks.clear()
            step(drawn.batch.images, drawn.batch.labels)
            if len(marks) == len(hooks):  # float16's scaler leaves a step out now and then
                between = [after - before for before, after in itertools.pairwise(marks)]
                rows.append([drawn.read_seconds, drawn.augment_seconds, *between])
    finally:
        for hook in hooks:
            hook.remove()
    return StepParts(*(sum(column) / len(rows) for column in zip(*rows, strict=True)))


def _seconds_of(work: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start


def _checkpoint_seconds(network: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler | None) -> float:
    """Writing a checkpoint of an unfinished fold, to where temporary files go."""
    record = FoldCheckpoint(
        preparation="",
        network="",
        training="",
        epoch=0,
        epochs=1,
        progress=0.0,
        seconds=0.0,
        state=None,
        weights="",
        weights_sha256="",
        finished=False,
    )
    with tempfile.TemporaryDirectory(prefix="autoseg-") as folder:
        start = time.perf_counter()
        save_checkpoint(Path(folder), record, network, optimizer, scaler)
        return time.perf_counter() - start
