"""How long a fold trains, and the learning rate on the way.

The rate falls as `(1 - progress) ** exponent` and reaches zero at the end. `progress` is carried along rather than
derived from the step number: when the length is amended under way, the rate goes on from where it is, and still
ends at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoseg.records import Amendment, TrainingSpec

EPOCHS_BEFORE_AMENDING = 3  # the first ones hold one-time costs (memory, thread pools), so they say little
SHORTFALL = 0.03  # of the time limit: so much unused time is left alone; an overrun is not
OVERRUN = 0.005
RECENT_EPOCHS = 6


@dataclass(frozen=True)
class Schedule:
    """Epochs done and planned, and the fraction of the learning-rate curve that is used up."""

    epoch: int
    epochs: int
    progress: float = 0.0

    def step_progress(self, step: int, steps_per_epoch: int) -> float:
        """Progress at a step (0-based) of the current epoch."""
        remaining = (self.epochs - self.epoch) * steps_per_epoch
        return self.progress + (1.0 - self.progress) * step / remaining

    def after_epoch(self) -> Schedule:
        """One epoch further."""
        progress = self.progress + (1.0 - self.progress) / (self.epochs - self.epoch)
        return replace(self, epoch=self.epoch + 1, progress=1.0 if self.epoch + 1 == self.epochs else progress)


def learning_rate(spec: TrainingSpec, progress: float) -> float:
    """Polynomial decay (Chen et al. 2018, as in nnU-Net)."""
    return spec.initial_lr * (1.0 - progress) ** spec.lr_exponent


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
