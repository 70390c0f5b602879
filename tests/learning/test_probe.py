"""The probe measures something plausible, and leaves the random state alone."""

from __future__ import annotations

import time

import pytest
import torch

from autoseg.engines.device import describe_machine, pick_device, pick_precision
from autoseg.errors import PlanError
from autoseg.learning.probe import measure, probe_machine, probe_network


def test_a_wider_network_takes_longer(device: str) -> None:
    where = pick_device(device)
    narrow, wide = (measure(probe_network(2, width), (96, 96), 4, where, "float32") for width in (8, 64))
    assert wide.work > 40 * narrow.work
    assert wide.step_seconds > narrow.step_seconds > narrow.forward_seconds > 0


def test_the_whole_probe_keeps_its_time(device: str) -> None:
    before = torch.random.get_rng_state()
    start = time.monotonic()
    profile = probe_machine(pick_device(device), ranks=(2, 3))
    assert time.monotonic() - start < 20 * 2  # twenty seconds on a quiet machine; the test's may not be
    assert [(probe.rank, probe.base_features) for probe in profile.throughput] == [(2, 16), (2, 32), (3, 16), (3, 32)]
    assert torch.equal(before, torch.random.get_rng_state())


def test_devices() -> None:
    assert pick_device("cpu").type == "cpu"
    machine = describe_machine(pick_device("cpu"))
    assert machine.precision == pick_precision(torch.device("cpu")) in ("float32", "bfloat16")
    assert machine.memory_bytes > 2**28
    with pytest.raises(PlanError, match="--device"):
        pick_device("tpu")
