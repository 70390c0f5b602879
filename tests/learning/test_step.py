"""A step with loss scaling, as float16 needs it: what is no number is left out, and the next step is taken."""

from __future__ import annotations

from dataclasses import replace

import torch

from autoseg.learning.learner import build_learner, build_step
from tests.learning.cases import small_configuration, small_plan


def test_a_scaled_step_after_one_that_was_left_out() -> None:
    configuration = small_configuration()
    device = torch.device("cpu")
    learner = build_learner(configuration, device, seed=0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
    step = replace(build_step(small_plan(configuration), configuration, learner, device), scaler=scaler, precision="float32")
    images = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = (images > 0).to(torch.int16)
    before = [parameter.detach().clone() for parameter in learner.network.parameters()]
    assert not step(images * float("nan"), labels).taken
    assert all(torch.equal(old, new) for old, new in zip(before, learner.network.parameters(), strict=True))
    assert step(images, labels).taken
    assert any(not torch.equal(old, new) for old, new in zip(before, learner.network.parameters(), strict=True))
    assert scaler.get_scale() < 2.0**8, "the overflow made the scale smaller"
