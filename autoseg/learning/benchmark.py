"""How fast a plan trains here, and where a step's time goes: real cases, and the sampler, augmentation and step of training.

The pace is measured first, undisturbed; the parts of a step afterwards, with a clock between them (on a GPU they then wait for
one another, so the parts tell shares, not the pace).
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from autoseg.engines.device import (
    MemoryFormat,
    autocast,
    keep_freed_memory,
    laid,
    naming_memory_errors,
    peak_memory,
    place,
    synchronize,
)
from autoseg.learning.augmentation import Augmentation, Drawn
from autoseg.learning.checkpoint import save_checkpoint
from autoseg.learning.learner import Learner, build_learner, build_step
from autoseg.learning.quickest import quickest_format
from autoseg.learning.sampler import PatchSampler
from autoseg.learning.step import Step
from autoseg.learning.stopwatch import least_seconds
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
    memory_format: MemoryFormat


def measure_training(
    plan: Plan, configuration: Configuration, cases: Sequence[PreparedCase], device: torch.device, seconds: float
) -> TrainingSpeed:
    """Train a fresh network on prepared cases for about `seconds`; nothing of it is kept.

    Raises:
        OutOfMemory: with a cure.
    """
    keep_freed_memory()
    spec = configuration.training
    source = _Source(plan, configuration, cases, device)
    with naming_memory_errors(MEMORY_CURE), torch.random.fork_rng(), peak_memory(device) as peak:
        learner = build_learner(configuration, device, seed=spec.seed)
        network, step = learner.network, build_step(plan, configuration, learner, device)
        network.train()
        if spec.memory_format == "auto":
            shape = (spec.batch_size, configuration.network.in_channels, *spec.patch_size)
            source.memory_format, _ = quickest_format(step, network, shape)
        else:
            source.memory_format = spec.memory_format
            place(network, device, spec.memory_format)
        steps, per_second = _pace(step, source, SHARE_OF_PACE * seconds)
        parts = _parts(step, source, (1 - SHARE_OF_PACE) * seconds)
        images = source.timed(0).images
        network.eval()
        with torch.inference_mode(), autocast(device, step.precision):
            forward_seconds = least_seconds(lambda: network(images), device)
    return TrainingSpeed(
        steps=steps,
        steps_per_second=per_second,
        parts=parts,
        forward_seconds=forward_seconds,
        checkpoint_seconds=_checkpoint_seconds(learner),
        peak_bytes=peak.bytes,
        loaders=source.loaders,
        memory_format=source.memory_format,
    )


@dataclass(frozen=True, eq=False)
class _Timed:
    """A batch as the network takes it, and what it took to get it there."""

    images: Tensor
    labels: Tensor
    read_seconds: float
    augment_seconds: float


class _Source:
    """Batches as in training: all that knows how sampler and augmentation meet."""

    def __init__(self, plan: Plan, configuration: Configuration, cases: Sequence[PreparedCase], device: torch.device):
        self.augmentation, self.device = Augmentation.of(configuration, plan.targets), device
        self.sampler = PatchSampler(
            cases, configuration.training, slice_axis=configuration.slice_axis, stream=STREAM, augmentation=self.augmentation
        )
        self.loaders = 0 if device.type == "cpu" else min(8, available_cores())
        self.memory_format: MemoryFormat = "contiguous"

    def timed(self, step: int) -> _Timed:
        """One batch, read and augmented one after the other."""
        start = time.perf_counter()
        drawn = self.sampler[step]
        between = time.perf_counter()
        batch = self.augmentation.apply(drawn, self.device)
        images = laid(batch.images, self.memory_format)
        synchronize(self.device)
        return _Timed(images, batch.labels, between - start, time.perf_counter() - between)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batch after batch on the device, drawn ahead by processes where there are any."""
        loader: DataLoader[Drawn] = DataLoader(
            self.sampler,
            batch_size=None,
            sampler=itertools.count(),
            num_workers=self.loaders,
            prefetch_factor=2 if self.loaders else None,
            pin_memory=self.device.type == "cuda",
            multiprocessing_context="spawn" if self.loaders else None,
        )
        for drawn in loader:
            batch = self.augmentation.apply(drawn, self.device)
            yield laid(batch.images, self.memory_format), batch.labels


def _pace(step: Step, source: _Source, seconds: float) -> tuple[int, float]:
    """Steps done, and steps per second of the wall clock."""
    batches, device = source.batches(), source.device
    for images, labels in itertools.islice(batches, WARM_UP_STEPS):
        step(images, labels)
    synchronize(device)
    start = time.perf_counter()
    done = 0
    while done < FEWEST_STEPS or time.perf_counter() - start < seconds:
        step(*next(batches))
        done += 1
    synchronize(device)
    return done, done / (time.perf_counter() - start)


def _parts(step: Step, source: _Source, seconds: float) -> StepParts:
    """The mean over several steps. Clocks are hung onto network, loss and optimiser, so that the step itself is training's own."""
    marks: list[float] = []

    def mark(*_: object) -> None:
        synchronize(source.device)
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
            drawn = source.timed(len(rows))
            marks.clear()
            step(drawn.images, drawn.labels)
            if len(marks) == len(hooks):  # float16's scaler leaves a step out now and then
                between = [after - before for before, after in itertools.pairwise(marks)]
                rows.append([drawn.read_seconds, drawn.augment_seconds, *between])
    finally:
        for hook in hooks:
            hook.remove()
    return StepParts(*(sum(column) / len(rows) for column in zip(*rows, strict=True)))


def _checkpoint_seconds(learner: Learner) -> float:
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
        save_checkpoint(Path(folder), record, learner)
        return time.perf_counter() - start
