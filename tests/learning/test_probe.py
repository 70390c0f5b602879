"""The probe measures something plausible, and leaves the random state alone."""

from __future__ import annotations

import time

import pytest
import torch

from autoseg.engines.device import describe_machine, pick_device, pick_precision
from autoseg.errors import PlanError
from autoseg.learning.probe import USUAL_AUGMENTATION, augmentation_seconds, measure, probe_machine, probe_network
from autoseg.stages.plan.augmentation import augmentation_for


def test_a_wider_network_takes_longer(device: str) -> None:
    where = pick_device(device)
    narrow, wide = (measure(probe_network(2, width), (96, 96), 4, where, "float32") for width in (8, 64))
    assert wide.step_seconds > narrow.step_seconds > narrow.forward_seconds > 0


def test_the_whole_probe_keeps_its_time(device: str) -> None:
    before = torch.random.get_rng_state()
    start = time.monotonic()
    profile = probe_machine(pick_device(device), ranks=(2, 3))
    assert time.monotonic() - start < 20 * 2  # twenty seconds on a quiet machine; the test's may not be
    found = [(probe.network.rank, probe.network.features[0]) for probe in profile.throughput]
    assert found[:4] == [(2, 16), (2, 32), (3, 16), (3, 32)]  # larger patches follow as time allows
    assert all(probe.data_seconds > 0 for probe in profile.throughput if device == "cpu")
    assert torch.equal(before, torch.random.get_rng_state())


def test_memory_grows_with_the_batch(device: str) -> None:
    where = pick_device(device)
    small, large = (measure(probe_network(2, 16), (256, 256), batch, where, "float32") for batch in (1, 8))
    if small.peak_bytes is not None and large.peak_bytes is not None:
        # eight samples of 16 features at 256x256 hold some 250 MB of feature maps more than one
        assert large.peak_bytes > small.peak_bytes + 1.5e8


def test_augmentation_takes_time_and_leaves_the_random_state() -> None:
    before = torch.random.get_rng_state()
    assert 0 < augmentation_seconds(1, (64, 64)) < 1
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_usual_augmentation_is_the_default() -> None:
    assert augmentation_for("default", (32, 32, 32)) == USUAL_AUGMENTATION


def test_devices() -> None:
    assert pick_device("cpu").type == "cpu"
    machine = describe_machine(pick_device("cpu"))
    assert machine.precision == pick_precision(torch.device("cpu")) in ("float32", "bfloat16")
    assert machine.memory_bytes > 2**28
    with pytest.raises(PlanError, match="--device"):
        pick_device("tpu")
