"""When a fold had learned, and when it does not."""

from __future__ import annotations

import pytest

from autoseg.learning.journal import EpochLine
from autoseg.learning.watch import dead_fold, is_looked_at, smoothed_dice, when_it_was_there


def lines(*dice: float | None) -> list[EpochLine]:
    return [
        EpochLine(
            epoch=epoch,
            steps=10 * (epoch + 1),
            learning_rate=0.01,
            train_loss=1.0,
            validation_loss=1.0,
            dice={"a": value},
            seconds=1.0,
            steps_per_second=10.0,
        )
        for epoch, value in enumerate(dice)
    ]


def test_three_epochs_are_averaged() -> None:
    assert smoothed_dice(lines(0.3, None, 0.6, 0.9, 0.9)) == [
        (0, pytest.approx(0.3)),
        (2, pytest.approx(0.45)),
        (3, pytest.approx(0.6)),
        (4, pytest.approx(0.8)),
    ]


def test_99_percent_of_the_end() -> None:
    """The mean of three is 0.9 at the end; 0.891 is first passed by (0.87 + 0.9 + 0.91) / 3 = 0.893, after epoch 4."""
    text = when_it_was_there(lines(0.2, 0.87, 0.90, 0.91, 0.89, 0.90, 0.91))
    assert text == "99 % of the final Dice on patches (0.900) was reached after epoch 4 of 7"


def test_no_dice() -> None:
    assert "no Dice on validation patches" in when_it_was_there(lines(None, None))
    assert "no Dice" in when_it_was_there(lines(0.0, 0.0))


def test_far_below_its_siblings() -> None:
    """At a tenth of 20 epochs: 0.1 against a median of 0.6."""
    others = [lines(0.5, 0.6, 0.9), lines(0.1, 0.6), lines(0.2, 0.5), lines(0.9)]
    assert "Dice of 0.100 on patches, the other folds had 0.600" in str(dead_fold(lines(0.1, 0.1), 20, others))
    assert dead_fold(lines(0.1, 0.31), 20, others) is None, "half of theirs is enough"
    assert dead_fold(lines(0.1), 20, others) is None, "not there yet"
    assert is_looked_at(2, 20) and not is_looked_at(1, 20) and is_looked_at(1, 3)
    assert dead_fold(lines(0.0, 0.0), 20, [lines(0.1, 0.1)]) is None, "none of them has learned yet"
    assert dead_fold(lines(0.0, 0.0), 20, []) is None
