"""What the curves of a fold tell while it trains: that it does not learn, or when it had learned."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import fmean, median

from autoseg.learning.journal import EpochLine

LOOKED_AT = 0.1  # of the schedule
FAR_BELOW = 0.5  # of the other folds' median Dice
WORTH_COMPARING = 0.2  # Dice that the others must have there themselves
SMOOTHED_EPOCHS = 3
NEARLY = 0.99  # of the final Dice


def dead_fold(lines: Sequence[EpochLine], epochs: int, siblings: Sequence[Sequence[EpochLine]]) -> str | None:
    """From a tenth of the schedule on: a warning if Dice is far below that of the other folds at the same point; else None.

    Args:
        lines: of the fold, up to the epoch that has just ended.
        epochs: of its schedule.
        siblings: lines of the other folds; those that have not come so far are left out.
    """
    if not is_looked_at(len(lines), epochs):
        return None
    theirs = [there for other in siblings if (there := _dice_after(other, len(lines))) is not None]
    mine = _dice_after(lines, len(lines))
    if mine is None or not theirs or median(theirs) < WORTH_COMPARING or mine >= FAR_BELOW * median(theirs):
        return None
    return (
        f"at a tenth of its training this fold has a Dice of {mine:.3f} on patches, the other folds had {median(theirs):.3f}. "
        "Likely causes: labels of its training cases that are empty, shifted or of another value; validation cases that look "
        "unlike the rest (another device or site); a bad start, which another training.seed would mend. Compare the cases of the "
        "folds in splits.json, and stop it if the labels are wrong"
    )


def is_looked_at(done: int, epochs: int) -> bool:
    """Whether a tenth of the schedule is over."""
    return done >= max(1, ceil(LOOKED_AT * epochs))


def when_it_was_there(lines: Sequence[EpochLine]) -> str:
    """In words: from which epoch on Dice on patches was 99 % of what it was at the end."""
    curve = smoothed_dice(lines)
    if not curve or curve[-1][1] <= 0:
        return f"trained for {len(lines)} epochs; there is no Dice on validation patches to tell when it had learned"
    reached = next(epoch for epoch, dice in curve if dice >= NEARLY * curve[-1][1])
    return (
        f"99 % of the final Dice on patches ({curve[-1][1]:.3f}) was reached after epoch {reached + 1} of {lines[-1].epoch + 1}"
    )


def smoothed_dice(lines: Sequence[EpochLine]) -> list[tuple[int, float]]:
    """Epoch and mean Dice of the last three epochs; epochs without Dice are left out."""
    known = [(line.epoch, line.mean_dice) for line in lines if line.mean_dice is not None]
    dice = [value for _, value in known]
    return [(epoch, fmean(dice[max(0, i + 1 - SMOOTHED_EPOCHS) : i + 1])) for i, (epoch, _) in enumerate(known)]


def _dice_after(lines: Sequence[EpochLine], epochs: int) -> float | None:
    """The largest mean Dice of the first `epochs` epochs; None where there are not so many."""
    values = [line.mean_dice for line in lines[:epochs] if line.mean_dice is not None]
    return max(values) if values and len(lines) >= epochs else None
