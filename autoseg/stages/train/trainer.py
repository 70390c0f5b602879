"""What one fold's training moves along, and a step that looks after itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from autoseg.engines.device import MemoryFormat, is_out_of_memory, laid, release_memory
from autoseg.errors import OutOfMemory, TrainingDiverged
from autoseg.learning.augmentation import Augmentation, Batch, Drawn
from autoseg.learning.journal import EpochLine, EventKind, Journal, Listener
from autoseg.learning.learner import Learner
from autoseg.learning.ranks import ALONE, Ranks
from autoseg.learning.schedule import Schedule, learning_rate, momentum
from autoseg.learning.step import Step
from autoseg.progress import Progress, SilentProgress
from autoseg.records import Amendment, Configuration, InitialWeights, Plan

MOST_SKIPPED = 3
NAMED_CASES = 12


@dataclass(frozen=True)
class Setting:
    """Where and beside whom a fold is trained; nothing here changes what is learned.

    Args:
        device: where to train.
        ranks: the processes that share each batch.
        workers: loader processes; None chooses 0 on a CPU, whose cores the network needs, else up to 8.
        limit_seconds: wall time for this stage over all sittings; the length is amended to meet it.
        extend_seconds: after its end the fold is trained for so much longer.
        siblings: journals of the other folds, to tell a fold that does not learn.
        track: called with the epochs that are over already; who it returns is told of every line of the journal from then on.
        progress: told of every few steps.
    """

    device: torch.device
    ranks: Ranks = ALONE
    workers: int | None = None
    limit_seconds: float | None = None
    extend_seconds: float | None = None
    siblings: Sequence[Path] = ()
    track: Callable[[Sequence[EpochLine]], Listener] | None = None
    progress: Progress = field(default_factory=SilentProgress)


@dataclass
class FoldTrainer:
    """One fold's training; `step` holds the network as it computes (shared, compiled), `learner` as it is saved."""

    plan: Plan
    configuration: Configuration
    folder: Path
    fold: int
    setting: Setting
    learner: Learner
    step: Step
    augmentation: Augmentation
    journal: Journal
    schedule: Schedule
    limit_seconds: float | None
    memory_format: MemoryFormat = "contiguous"
    seconds: float = 0.0  # trained so far, over all sittings
    skipped: int = 0
    extensions: int = 0
    handed_over: tuple[str | None, str] = (None, "")  # weights that predictions use during an extension, and their hash
    looked_at_siblings: bool = False
    amendments: tuple[Amendment, ...] = ()
    initial: InitialWeights | None = None
    members: str = ""
    epoch_seconds: list[float] = field(default_factory=list)

    @property
    def progress(self) -> Progress:
        """Who is told; only the first of several processes speaks."""
        return self.setting.progress

    def batch(self, drawn: Drawn) -> tuple[Batch, Tensor]:
        """What was drawn, augmented and on the device, and its images as the network takes them."""
        batch = self.augmentation.apply(drawn, self.setting.device)
        return batch, laid(batch.images, self.memory_format)

    def take_step(self, drawn: Drawn, schedule: Schedule, index: int) -> Tensor | None:
        """The step of this index in the schedule's epoch; the loss, or None where it was skipped.

        Raises:
            TrainingDiverged: too many steps had to be skipped; the cases of the last one are named.
            OutOfMemory: a single sample does not fit.
        """
        self._set_rates(schedule, index)
        batch, images = self.batch(drawn)
        result = None
        while result is None:
            try:
                result = self.step(images, batch.labels)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                failure = (str(error).splitlines() or [type(error).__name__])[0]
            if result is None:  # outside of the handler, whose traceback holds the step's tensors
                self._halve(failure, len(images))
        if not result.taken:
            self._skip(batch, float(result.loss))
            return None
        return result.loss

    def amend(self, amendment: Amendment, event: EventKind = "amended") -> None:
        """Write down a change."""
        self.amendments = (*self.amendments, amendment)
        text = f"{amendment.name}: {amendment.before} -> {amendment.after}, since {amendment.reason}"
        self.journal.note(event, amendment.epoch, text)

    def _set_rates(self, schedule: Schedule, index: int) -> None:
        """Learning rate and momentum of a step; an extension begins with an epoch in which the rate rises from zero."""
        spec = self.configuration.training
        progress = schedule.step_progress(index, spec.steps_per_epoch)
        rise = (index + 1) / spec.steps_per_epoch if schedule.epoch == schedule.extended_at else 1.0
        for group in self.learner.optimizer.param_groups:
            group["lr"] = rise * learning_rate(spec, progress)
            if "betas" in group:
                group["betas"] = (momentum(spec, progress), group["betas"][1])
            else:
                group["momentum"] = momentum(spec, progress)

    def _halve(self, failure: str, batch_size: int) -> None:
        """From now on a batch goes through the network in twice as many parts."""
        parts = self.step.parts
        if parts >= batch_size or self.setting.ranks.size > 1:
            raise OutOfMemory(
                f"the device's memory did not suffice for {'its part of a batch' if self.setting.ranks.size > 1 else 'one sample'} "
                f"({failure}); plan again with a smaller --memory, or --set training.patch_size=..."
            )
        self.learner.optimizer.zero_grad(set_to_none=True)
        release_memory(self.setting.device)
        self.step.parts = min(2 * parts, batch_size)
        reason = f"the device's memory did not suffice ({failure})"
        self.amend(
            Amendment(epoch=self.schedule.epoch, name="parts", before=str(parts), after=str(self.step.parts), reason=reason),
            event="memory",
        )
        self.progress.message(
            f"memory did not suffice: batches now go through the network in {self.step.parts} parts, whose gradients are added up"
        )

    def _skip(self, batch: Batch, loss: float) -> None:
        """Leave a step out whose loss or gradients are no numbers; a network that swallows one never recovers."""
        self.skipped += 1
        held = dict.fromkeys(self.setting.ranks.gathered(batch.cases))
        cases = ", ".join(list(held)[:NAMED_CASES]) + (" and others" if len(held) > NAMED_CASES else "")
        text = f"a step was left out: the loss is {loss}, or its gradients are no numbers; the batch holds {cases}"
        self.journal.note("skipped", self.schedule.epoch, f"{text} ({self.skipped} so far)")
        self.progress.message(f"{text} ({self.skipped} of {MOST_SKIPPED})")
        if self.skipped >= MOST_SKIPPED:
            raise TrainingDiverged(
                f"training diverged in epoch {self.schedule.epoch + 1}: {self.skipped} steps had a loss that is no number; the last "
                f"checkpoint is kept. The last batch holds {cases}: look at these images and their intensities in fingerprint.json, or "
                f"plan with --set training.initial_lr={self.configuration.training.initial_lr / 3:.1g}"
            )


def computing(network: nn.Module, setting: Setting, *, compiled: bool) -> nn.Module:
    """The network as it computes: shared with the other processes, and compiled where that was decided."""
    shared = setting.ranks.shared(network, setting.device)
    return torch.compile(shared) if compiled else shared  # type: ignore[return-value]  # a module in, a module out
