"""The learning-rate schedule and its amendments, by arithmetic."""

from __future__ import annotations

import pytest

from autoseg.learning.schedule import Schedule, amend_length, learning_rate
from tests.learning.cases import small_configuration


def test_rate_falls_to_zero_and_matches_nnunet_on_the_way() -> None:
    spec = small_configuration().training
    assert learning_rate(spec, 0) == pytest.approx(0.01)
    assert learning_rate(spec, 0.5) == pytest.approx(0.01 * 0.5**0.9)
    assert learning_rate(spec, 1) == 0


def test_progress_is_linear_without_amendments() -> None:
    schedule = Schedule(0, 4)
    seen = []
    while schedule.epoch < schedule.epochs:
        seen += [schedule.step_progress(step, 5) for step in range(5)]
        schedule = schedule.after_epoch()
    assert seen == pytest.approx([i / 20 for i in range(20)])
    assert schedule.progress == 1


def test_a_shortened_schedule_still_ends_at_zero_rate() -> None:
    schedule = Schedule(0, 10).after_epoch().after_epoch()
    shorter = Schedule(schedule.epoch, 4, schedule.progress)
    assert shorter.step_progress(0, 5) == pytest.approx(0.2)
    assert shorter.after_epoch().progress == pytest.approx(0.6)
    assert shorter.after_epoch().after_epoch().progress == 1


def test_amending() -> None:
    schedule = Schedule(4, 100, 0.04)
    # 4 epochs took 40 s and each takes 10: 100 epochs would need 1000 s, 500 are left of the limit -> 50 epochs in all
    shorter, amendment = amend_length(schedule, [10.0] * 4, 40.0, 500.0)
    assert shorter.epochs == 50
    assert shorter.progress == schedule.progress
    assert amendment is not None
    assert (amendment.before, amendment.after) == ("100", "50")
    longer, amendment = amend_length(schedule, [10.0] * 4, 40.0, 2000.0)
    assert longer.epochs == 200
    assert amend_length(schedule, [10.0] * 4, 40.0, 1010.0) == (schedule, None)  # 1 % to spare
    assert amend_length(schedule, [10.0] * 2, 40.0, 500.0) == (schedule, None)  # too early to tell
    assert amend_length(schedule, [10.0] * 4, 40.0, None) == (schedule, None)
    over, _ = amend_length(schedule, [10.0] * 4, 40.0, 30.0)
    assert over.epochs == 5, "past the limit one more epoch brings the rate to zero"
