"""The benchmark's clocks: every part is counted, they add up to a step, and nothing is left behind."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from autoseg.engines.device import pick_device
from autoseg.learning.benchmark import measure_training
from tests.learning.cases import small_configuration, small_plan, square_case


@pytest.mark.parametrize("augmentation", ["default", "none"])
def test_parts_of_a_step(device: str, augmentation: str) -> None:
    configuration = small_configuration(patch=(64, 64), augmentation=augmentation)
    before = torch.random.get_rng_state()
    cases = [square_case(seed, shape=(80, 80)) for seed in range(2)]
    speed = measure_training(small_plan(configuration), configuration, cases, pick_device(device), 1.0)
    assert speed.steps >= 3
    assert all(getattr(speed.parts, field.name) > 0 for field in dataclasses.fields(speed.parts))
    assert speed.parts.backward > speed.parts.optimiser
    assert speed.parts.forward > speed.parts.loss / 10
    if device == "cpu":  # the parts are those of the steps that were timed whole; other work on the machine shifts both
        assert 0.2 < speed.parts.total * speed.steps_per_second < 5
    assert 0 < speed.forward_seconds < 10 * speed.parts.total
    assert 0 < speed.checkpoint_seconds < 10
    assert torch.equal(before, torch.random.get_rng_state())
