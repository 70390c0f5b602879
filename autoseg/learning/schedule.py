"""How long a fold trains, and learning rate and momentum on the way.

The rate reaches zero at the end. `progress` is carried along rather than derived from the step number: when the length is
amended under way, the rate goes on from where it is, and still ends at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, pi

from autoseg.records import Amendment, TrainingSpec

EPOCHS_BEFORE_AMENDING = 3  # the first ones hold one-time costs (memory, thread pools), so they say little
SHORTFALL = 0.03  # of the time limit: so much unused time is left alone; an overrun is not
OVERRUN = 0.005
RECENT_EPOCHS = 6


ONE_CYCLE_RISE = (
    0.3  # of the steps, from 1/25 of the largest rate, while the momentum falls by 0.1: PyTorch's and fastai's numbers
)
ONE_CYCLE_START = 25.0
ONE_CYCLE_MOMENTUM_DROP = 0.1


@dataclass(frozen=True)
class Schedule:
    """Epochs done and planned, and the fraction of the learning-rate curve that is used up.

    `extended_at` is the epoch with which an extension began, in which the rate rises again from zero.
    """

    epoch: int
    epochs: int
    progress: float = 0.0
    extended_at: int | None = None

    def step_progress(self, step: int, steps_per_epoch: int) -> float:
        """Progress at a step (0-based) of the current epoch."""
        remaining = (self.epochs - self.epoch) * steps_per_epoch
        return self.progress + (1.0 - self.progress) * step / remaining

    def after_epoch(self) -> Schedule:
        """One epoch further."""
        progress = self.progress + (1.0 - self.progress) / (self.epochs - self.epoch)
        return replace(self, epoch=self.epoch + 1, progress=1.0 if self.epoch + 1 == self.epochs else progress)

    def extended(self, epochs: int) -> Schedule:
        """So many epochs longer.

        A fold that was trained to its end goes on at the rate that a schedule of the whole new length would have at this epoch,
        `progress = done / (done + more)`; one that is under way goes on at the rate that it has.
        """
        longer = replace(self, epochs=self.epochs + epochs)
        if self.epoch < self.epochs:
            return longer
        return replace(longer, progress=self.epoch / longer.epochs, extended_at=self.epoch)


def learning_rate(spec: TrainingSpec, progress: float) -> float:
    """After `progress` (0 to 1) of the schedule, see `TrainingSpec`. `poly` is Chen et al. 2018, as in nnU-Net."""
    if spec.schedule == "one_cycle":
        return spec.initial_lr * _one_cycle(progress, 1 / ONE_CYCLE_START, 1.0, 0.0)
    warm = min(1.0, progress / spec.warmup_share) if spec.warmup_share else 1.0
    progress = max(0.0, (progress - spec.warmup_share) / (1 - spec.warmup_share))
    if spec.schedule == "cosine":
        return warm * spec.initial_lr * (1 + cos(pi * progress)) / 2
    return float(warm * spec.initial_lr * (1.0 - progress) ** spec.lr_exponent)


def momentum(spec: TrainingSpec, progress: float) -> float:
    """The plan's, except in `one_cycle`, where it is lowest when the rate is highest (Smith and Topin 2018)."""
    if spec.schedule != "one_cycle":
        return spec.momentum
    return _one_cycle(progress, spec.momentum, max(0.0, spec.momentum - ONE_CYCLE_MOMENTUM_DROP), spec.momentum)


def _one_cycle(progress: float, first: float, middle: float, last: float) -> float:
    """Half waves from `first` to `middle` and on to `last`."""
    if progress < ONE_CYCLE_RISE:
        start, end, share = first, middle, progress / ONE_CYCLE_RISE
    else:
        start, end, share = middle, last, (progress - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE)
    return end + (start - end) * (1 + cos(pi * share)) / 2


def amend_length(
    schedule: Schedule, epoch_seconds: Sequence[float], elapsed: float, limit: float | None
) -> tuple[Schedule, Amendment | None]:
    """Change the number of epochs so that training ends at `limit` seconds.

    Args:
        schedule: after the last epoch.
        epoch_seconds: durations of the epochs trained in this sitting.
        elapsed: wall time trained so far, over all sittings, in seconds.
        limit: None leaves the length as planned.

    Returns:
        The schedule, and the amendment if there is one. One epoch always remains, in which the rate falls to zero.
    """
    if limit is None or len(epoch_seconds) < EPOCHS_BEFORE_AMENDING or schedule.epoch >= schedule.epochs:
        return schedule, None
    recent = sorted(epoch_seconds[-RECENT_EPOCHS:])
    seconds = recent[len(recent) // 2]
    expected = elapsed + (schedule.epochs - schedule.epoch) * seconds
    if -SHORTFALL * limit <= expected - limit <= OVERRUN * limit:
        return schedule, None
    epochs = max(schedule.epoch + int((limit - elapsed) / seconds), schedule.epoch + 1)
    if epochs == schedule.epochs:
        return schedule, None
    reason = f"an epoch takes {seconds:.1f} s here, so {schedule.epochs} would end after {expected:.0f} s of {limit:.0f} s"
    amendment = Amendment(epoch=schedule.epoch, name="epochs", before=str(schedule.epochs), after=str(epochs), reason=reason)
    return replace(schedule, epochs=epochs), amendment
